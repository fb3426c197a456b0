// UTF-8, one code point at a time, over bytes that may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/check.h"

namespace midge {

/// Value of a byte that is not part of a valid sequence.
inline constexpr uint32_t kInvalidCodePoint = 0xFFFFFFFF;

struct CodePoint {
  uint32_t value = kInvalidCodePoint;
  uint32_t length = 1;  ///< bytes
};

/// decode_utf8() where the byte at `position` is not ASCII.
CodePoint decode_utf8_sequence(std::string_view text, size_t position);

/// The code point at byte `position` < text.size(). An invalid byte gives kInvalidCodePoint, 1.
/// Inline as far as ASCII goes, through a plain pointer: every character of every prompt comes
/// here, and the callers have compared with the size.
inline CodePoint decode_utf8(std::string_view text, size_t position) {
  MIDGE_DCHECK(position < text.size(), "byte %zu of %zu", position, text.size());
  const auto lead = static_cast<uint8_t>(text.data()[position]);
  if (lead < 0x80) return {lead, 1};
  return decode_utf8_sequence(text, position);
}

/// The code point that ends just before byte `position` > 0, where `position` is a boundary.
CodePoint decode_utf8_before(std::string_view text, size_t position);

/// True if all of it is valid UTF-8.
bool is_utf8(std::string_view text);

/// Appends the UTF-8 form of a valid code point.
void append_utf8(uint32_t code_point, std::string* out);

/// Length of `bytes` without a trailing sequence that more bytes could still complete. At most
/// three bytes are held back; bytes that can never become valid are not.
size_t complete_utf8_length(std::string_view bytes);

}  // namespace midge
