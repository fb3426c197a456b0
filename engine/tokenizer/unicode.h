// UTF-8, Unicode categories and NFC for the tokenizers.
//
// Policy for bytes that are not valid UTF-8 (stray continuation bytes, overlong forms, surrogates,
// values past U+10FFFF, truncated sequences): each such byte counts as one code point of no letter,
// mark, number or white-space category. It is never replaced, never normalised and never dropped,
// so decode(encode(bytes)) == bytes (up to NFC of the valid stretches where a tokenizer asks for
// it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/utf8.h"

namespace midge {

/// Classes that the pre-tokenizer patterns distinguish. Zero is everything else (\p{P}, \p{S},
/// \p{C} that is not white space, unassigned and invalid).
enum CharClass : uint8_t {
  kOther = 0,
  kUpper = 1,        ///< \p{Lu} \p{Lt}
  kLower = 2,        ///< \p{Ll}
  kOtherLetter = 4,  ///< \p{Lm} \p{Lo}
  kMark = 8,         ///< \p{M}
  kNumber = 16,      ///< \p{N}
  kSpace = 32,       ///< \s, the property White_Space
};
inline constexpr uint8_t kLetter = kUpper | kLower | kOtherLetter;

constexpr CharClass ascii_class(uint32_t c) {
  if (c >= 'a' && c <= 'z') return kLower;
  if (c >= 'A' && c <= 'Z') return kUpper;
  if (c >= '0' && c <= '9') return kNumber;
  if (c == ' ' || (c >= 0x09 && c <= 0x0D)) return kSpace;
  return kOther;
}

inline constexpr std::array<CharClass, 128> kAsciiClasses = [] {
  std::array<CharClass, 128> classes = {};
  for (uint32_t c = 0; c < 128; ++c) classes[c] = ascii_class(c);
  return classes;
}();

CharClass char_class_beyond_ascii(uint32_t code_point);

/// Class of a code point; kInvalidCodePoint is kOther. Inline as far as ASCII goes, as
/// decode_utf8().
inline CharClass char_class(uint32_t code_point) {
  return code_point < 0x80 ? kAsciiClasses.data()[code_point] : char_class_beyond_ascii(code_point);
}

/// \w as Unicode's regular expressions define it: Alphabetic, marks, decimal digits, connector
/// punctuation and the two join controls. Decides the `single_word` flag of added tokens.
bool is_word_character(uint32_t code_point);

/// Canonical composition (NFC) of the valid stretches of `text`; invalid bytes stay as they are.
/// Returns `text` itself if nothing can change, else a view of *buffer. Time O(n log n).
std::string_view normalize_nfc(std::string_view text, std::string* buffer);

/// Version of the Unicode tables in use, for example "15.0.0".
const char* unicode_version();

}  // namespace midge
