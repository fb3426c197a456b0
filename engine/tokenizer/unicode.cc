#include "engine/tokenizer/unicode.h"

#include <algorithm>
#include <vector>

#include "engine/tokenizer/unicode_data.h"

namespace midge {
namespace {

// Everything below is its own NFC form, has combining class 0 and never composes with what is
// before it.
constexpr uint32_t kFirstComposing = 0x300;

uint8_t byte_at(std::string_view text, size_t i) { return static_cast<uint8_t>(text.data()[i]); }

CharClass category_class(uint32_t code_point) {
  switch (category_group(code_point)) {
    case CategoryGroup::kUpper: return kUpper;
    case CategoryGroup::kLower: return kLower;
    case CategoryGroup::kOtherLetter: return kOtherLetter;
    case CategoryGroup::kMark: return kMark;
    case CategoryGroup::kDigit:
    case CategoryGroup::kLetterNumber:
    case CategoryGroup::kOtherNumber: return kNumber;
    // White_Space is exactly Z* plus U+0009..U+000D and U+0085, which are Cc.
    case CategoryGroup::kSpace: return kSpace;
    case CategoryGroup::kConnector:
    case CategoryGroup::kOther: break;
  }
  return kOther;
}

// Sorts each run of marks by combining class, equal ones in their order. utf8proc's own reordering
// is quadratic in the length of a run, which a text of nothing but marks would exploit.
void order_marks(std::vector<int32_t>* points) {
  // Class, position and code point in one number, most significant first: 8, 35 and 21 bits.
  std::vector<uint64_t> marks;
  for (size_t i = 0; i <= points->size(); ++i) {
    const int mark_class =
        i < points->size() ? combining_class(static_cast<uint32_t>((*points)[i])) : 0;
    if (mark_class != 0) {
      marks.push_back((static_cast<uint64_t>(mark_class) << 56) | (uint64_t{i} << 21) |
                      static_cast<uint64_t>((*points)[i]));
      continue;
    }
    std::sort(marks.begin(), marks.end());
    for (size_t k = 0; k < marks.size(); ++k) {
      (*points)[i - marks.size() + k] = static_cast<int32_t>(marks[k] & 0x1FFFFF);
    }
    marks.clear();
  }
}

// Appends the NFC form of a valid stretch. `points` is scratch.
void append_nfc(std::string_view stretch, std::vector<int32_t>* points, std::string* out) {
  points->clear();
  for (size_t i = 0; i < stretch.size();) {
    const CodePoint point = decode_utf8(stretch, i);
    i += point.length;
    decompose(point.value, points);
  }
  order_marks(points);
  compose(points);
  for (const int32_t point : *points) append_utf8(static_cast<uint32_t>(point), out);
}

// First byte of the first valid code point >= kFirstComposing at or after `from`.
size_t find_composing(std::string_view text, size_t from) {
  while (from < text.size()) {
    // U+0300 is CC 80.
    if (byte_at(text, from) >= 0xCC) {
      const CodePoint point = decode_utf8(text, from);
      if (point.value != kInvalidCodePoint && point.value >= kFirstComposing) return from;
    }
    ++from;
  }
  return text.size();
}

}  // namespace

CharClass char_class_beyond_ascii(uint32_t code_point) {
  if (code_point == 0x85) return kSpace;
  if (code_point == kInvalidCodePoint) return kOther;
  return category_class(code_point);
}

bool is_word_character(uint32_t code_point) {
  if (code_point == kInvalidCodePoint) return false;
  switch (category_group(code_point)) {
    case CategoryGroup::kUpper:
    case CategoryGroup::kLower:
    case CategoryGroup::kOtherLetter:
    case CategoryGroup::kMark:
    case CategoryGroup::kDigit:
    case CategoryGroup::kLetterNumber:
    case CategoryGroup::kConnector: return true;
    default: break;
  }
  const auto in = [code_point](uint32_t first, uint32_t last) {
    return code_point >= first && code_point <= last;
  };
  // The join controls, and the only symbols that are Alphabetic: circled and squared letters.
  return in(0x200C, 0x200D) || in(0x24B6, 0x24E9) || in(0x1F130, 0x1F149) || in(0x1F150, 0x1F169) ||
         in(0x1F170, 0x1F189);
}

std::string_view normalize_nfc(std::string_view text, std::string* buffer) {
  size_t composing = find_composing(text, 0);
  if (composing == text.size()) return text;
  buffer->clear();
  buffer->reserve(text.size());
  std::vector<int32_t> points;
  size_t copied = 0;
  while (composing < text.size()) {
    // The stretch starts with the code point before (a base for the marks) and ends before the
    // next code point that cannot compose with what precedes it.
    size_t begin = composing;
    if (begin > copied) {
      const CodePoint base = decode_utf8_before(text, begin);
      if (base.value != kInvalidCodePoint && base.length <= begin - copied) begin -= base.length;
    }
    size_t end = composing;
    while (end < text.size()) {
      const CodePoint point = decode_utf8(text, end);
      if (point.value == kInvalidCodePoint || point.value < kFirstComposing) break;
      end += point.length;
    }
    buffer->append(text.substr(copied, begin - copied));
    append_nfc(text.substr(begin, end - begin), &points, buffer);
    copied = end;
    composing = find_composing(text, end);
  }
  buffer->append(text.substr(copied));
  return *buffer;
}

const char* unicode_version() { return unicode_data_version(); }

}  // namespace midge
