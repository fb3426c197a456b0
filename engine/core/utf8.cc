#include "engine/core/utf8.h"

#include "engine/core/check.h"

namespace midge {
namespace {

uint8_t byte_at(std::string_view text, size_t i) {
  MIDGE_DCHECK(i < text.size(), "byte %zu of %zu", i, text.size());
  return static_cast<uint8_t>(text.data()[i]);
}

bool is_continuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// Bytes that a lead byte announces; 0 if it cannot start a sequence.
uint32_t announced_length(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// Whether `second` may follow `lead`: excludes overlong forms, surrogates, values past U+10FFFF.
bool is_second_byte(uint8_t lead, uint8_t second) {
  switch (lead) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return is_continuation(second);
  }
}

}  // namespace

CodePoint decode_utf8_sequence(std::string_view text, size_t position) {
  const uint8_t lead = byte_at(text, position);
  const uint32_t length = announced_length(lead);
  if (length == 0 || text.size() - position < length) return {};
  if (!is_second_byte(lead, byte_at(text, position + 1))) return {};
  uint32_t value = lead & (0xFFU >> (length + 1));
  for (uint32_t i = 1; i < length; ++i) {
    const uint8_t byte = byte_at(text, position + i);
    if (!is_continuation(byte)) return {};
    value = (value << 6) | (byte & 0x3F);
  }
  return {value, length};
}

CodePoint decode_utf8_before(std::string_view text, size_t position) {
  for (uint32_t length = 1; length <= 4 && length <= position; ++length) {
    const CodePoint point = decode_utf8(text.substr(0, position), position - length);
    if (point.value != kInvalidCodePoint && point.length == length) return point;
  }
  return {};
}

void append_utf8(uint32_t code_point, std::string* out) {
  const auto push = [out](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0 | (code_point >> 6));
    push(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    push(0xE0 | (code_point >> 12));
    push(0x80 | ((code_point >> 6) & 0x3F));
    push(0x80 | (code_point & 0x3F));
  } else {
    push(0xF0 | (code_point >> 18));
    push(0x80 | ((code_point >> 12) & 0x3F));
    push(0x80 | ((code_point >> 6) & 0x3F));
    push(0x80 | (code_point & 0x3F));
  }
}

size_t complete_utf8_length(std::string_view bytes) {
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const size_t start = bytes.size() - back;
    const uint8_t lead = byte_at(bytes, start);
    if (is_continuation(lead)) continue;
    if (announced_length(lead) <= back) return bytes.size();
    if (back >= 2 && !is_second_byte(lead, byte_at(bytes, start + 1))) return bytes.size();
    return start;
  }
  return bytes.size();
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    if (c.value == kInvalidCodePoint) return false;
    i += c.length;
  }
  return true;
}

}  // namespace midge
