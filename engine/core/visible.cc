#include "engine/core/visible.h"

#include <algorithm>

#include "engine/core/utf8.h"

namespace midge {
namespace {

bool is_bidirectional_control(uint32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

// Appends `value` as `digits` hexadecimal digits behind a backslash and `kind`.
void append_escape(char kind, uint32_t value, int digits, VisibleCharacter* out) {
  out->bytes[out->length++] = '\\';
  out->bytes[out->length++] = kind;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out->bytes[out->length++] = "0123456789abcdef"[(value >> shift) & 15];
  }
}

}  // namespace

bool steers_terminal(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == kInvalidCodePoint ||
         is_bidirectional_control(c);
}

VisibleCharacter visible_character(std::string_view text, size_t position, Layout layout) {
  const CodePoint point = decode_utf8(text, position);
  VisibleCharacter out = {{}, 0, static_cast<uint8_t>(point.length)};
  const bool kept =
      layout == Layout::kKept && (point.value == uint32_t{'\n'} || point.value == uint32_t{'\t'});
  if (!steers_terminal(point.value) || kept) {
    std::copy_n(text.data() + position, point.length, out.bytes);
    out.length = out.consumed;
  } else if (point.length == 1) {
    append_escape('x', static_cast<uint8_t>(text[position]), 2, &out);
  } else {
    append_escape('u', point.value, 4, &out);  // all of them are below U+10000
  }
  return out;
}

std::string visible_text(std::string_view text, Layout layout) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const VisibleCharacter c = visible_character(text, i, layout);
    out.append(c.bytes, c.length);
    i += c.consumed;
  }
  return out;
}

std::string shown_path(std::string_view path) {
  if (path.size() <= kShownPathBytesMax) return visible_text(path, Layout::kOneLine);
  // The end names the file. It begins with a whole character.
  size_t begin = path.size() - kShownPathBytesMax;
  while (begin < path.size() && (static_cast<uint8_t>(path[begin]) & 0xC0) == 0x80) ++begin;
  return "..." + visible_text(path.substr(begin), Layout::kOneLine);
}

}  // namespace midge
