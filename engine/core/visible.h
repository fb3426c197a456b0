// Text that files, models and users decide, in a form that steers no terminal.
//
// Escape sequences set a terminal's title and clipboard and overwrite lines; bidirectional controls
// make a line read as another one. Both become visible here: "\x1b", "\u202e".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace midge {

/// True for what must not reach a terminal: control characters (category Cc: C0, DEL, C1),
/// bidirectional controls, and kInvalidCodePoint, the bytes that are not UTF-8.
bool steers_terminal(uint32_t code_point);

/// What becomes of newlines and tabs, which are controls too.
enum class Layout : uint8_t {
  kKept,     ///< for reports and answers of several lines
  kOneLine,  ///< they become visible: for a part of a line, which must not make one of its own
};

/// One character in its visible form; of most characters that is the character itself.
struct VisibleCharacter {
  char bytes[8];
  uint8_t length;    ///< of `bytes`, at least 1
  uint8_t consumed;  ///< bytes of the text that it stands for, at least 1
};

/// The character at byte `position` < text.size(). Takes no memory and no lock: a signal handler
/// may call it.
VisibleCharacter visible_character(std::string_view text, size_t position, Layout layout);

/// The whole text in its visible form.
std::string visible_text(std::string_view text, Layout layout = Layout::kKept);

/// Bytes of a path that a message shows: its end, behind "...".
inline constexpr size_t kShownPathBytesMax = 200;

/// A path for a message: on one line, and of a long one the end.
std::string shown_path(std::string_view path);

}  // namespace midge
