// The byte-level alphabet: vocabulary files write each of the 256 bytes as one printable character.
// Bytes 33-126, 161-172 and 174-255 are the code point of the same number; the other 68, in
// increasing order, are U+0100, U+0101, ...
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace midge {

/// Appends the bytes that `text` stands for; false (with *bytes unspecified) if a character is
/// outside of the alphabet.
[[nodiscard]] bool append_alphabet_bytes(std::string_view text, std::string* bytes);

/// Code point that stands for `byte`.
uint32_t alphabet_code_point(uint8_t byte);

}  // namespace midge
