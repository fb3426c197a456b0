#include "engine/tokenizer/byte_alphabet.h"

#include <array>

#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

constexpr uint32_t kAlphabetEnd = 0x100 + 68;

constexpr bool is_own_code_point(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

struct Tables {
  std::array<uint16_t, 256> code_point = {};
  std::array<int16_t, kAlphabetEnd> byte = {};  // -1: not in the alphabet
};

constexpr Tables make_tables() {
  Tables tables;
  for (int16_t& byte : tables.byte) byte = -1;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t code_point = is_own_code_point(byte) ? byte : next++;
    tables.code_point[byte] = static_cast<uint16_t>(code_point);
    tables.byte[code_point] = static_cast<int16_t>(byte);
  }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

bool append_alphabet_bytes(std::string_view text, std::string* bytes) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = decode_utf8(text, i);
    if (point.value >= kAlphabetEnd || kTables.byte[point.value] < 0) return false;
    bytes->push_back(static_cast<char>(kTables.byte[point.value]));
    i += point.length;
  }
  return true;
}

uint32_t alphabet_code_point(uint8_t byte) { return kTables.code_point[byte]; }

}  // namespace midge
