#include "engine/tokenizer/unicode_tables.h"

#include <algorithm>
#include <iterator>

namespace midge {
namespace {

#include "engine/tokenizer/unicode_tables.inc"

// Syllables of Hangul are made of a leading consonant, a vowel, and perhaps a trailing consonant.
// Source: the Unicode standard, chapter 3.12.
constexpr uint32_t kSyllables = 0xAC00;
constexpr uint32_t kLeading = 0x1100;
constexpr uint32_t kVowels = 0x1161;
constexpr uint32_t kTrailing = 0x11A7;  // one below the first: none
constexpr uint32_t kLeadingCount = 19;
constexpr uint32_t kVowelCount = 21;
constexpr uint32_t kTrailingCount = 28;
constexpr uint32_t kSyllableCount = kLeadingCount * kVowelCount * kTrailingCount;

// The value of the range that holds `point`, in a table of first << shift | value.
template <typename Table>
uint32_t find_range(const Table& table, uint32_t point, int shift) {
  const uint32_t most = (point + 1) << shift;  // the first that begins behind
  return *std::prev(std::lower_bound(std::begin(table), std::end(table), most)) &
         ((1u << shift) - 1);
}

// What two code points compose to; 0: nothing.
uint32_t compose_pair(uint32_t first, uint32_t second) {
  if (first - kLeading < kLeadingCount && second - kVowels < kVowelCount) {
    return kSyllables + ((first - kLeading) * kVowelCount + (second - kVowels)) * kTrailingCount;
  }
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTrailingCount == 0 &&
      second - kTrailing - 1 < kTrailingCount - 1) {
    return first + (second - kTrailing);
  }
  const uint64_t key = uint64_t{first} << 42 | uint64_t{second} << 21;
  const uint64_t* found = std::lower_bound(std::begin(kPairs), std::end(kPairs), key);
  if (found == std::end(kPairs) || *found >> 21 != key >> 21) return 0;
  return static_cast<uint32_t>(*found & 0x1FFFFF);
}

}  // namespace

CategoryGroup table_group(uint32_t code_point) {
  return static_cast<CategoryGroup>(find_range(kGroups, code_point, 4));
}

int table_combining_class(uint32_t code_point) {
  return static_cast<int>(find_range(kCombiningClasses, code_point, 8));
}

void table_decompose(uint32_t code_point, std::vector<int32_t>* points) {
  const auto add = [points](uint32_t point) { points->push_back(static_cast<int32_t>(point)); };
  const uint32_t syllable = code_point - kSyllables;
  if (syllable < kSyllableCount) {
    add(kLeading + syllable / (kVowelCount * kTrailingCount));
    add(kVowels + syllable / kTrailingCount % kVowelCount);
    if (syllable % kTrailingCount != 0) add(kTrailing + syllable % kTrailingCount);
    return;
  }
  const uint32_t* found =
      std::lower_bound(std::begin(kDecomposed), std::end(kDecomposed), code_point);
  if (found == std::end(kDecomposed) || *found != code_point) {
    add(code_point);
    return;
  }
  const uint16_t* start = kPartsStart + (found - kDecomposed);
  for (uint16_t i = start[0]; i < start[1]; ++i) add(kParts[i]);
}

// A code point composes with the last starter unless one of its class or a higher one, or another
// starter, stands between.
void table_compose(std::vector<int32_t>* points) {
  size_t kept = 0;
  size_t starter = points->size();  // none yet
  int last_class = -1;              // of what stands between; -1: nothing
  for (size_t i = 0; i < points->size(); ++i) {
    const auto point = static_cast<uint32_t>((*points)[i]);
    const int mark_class = table_combining_class(point);
    if (starter < kept && last_class < mark_class) {
      const uint32_t composed = compose_pair(static_cast<uint32_t>((*points)[starter]), point);
      if (composed != 0) {
        (*points)[starter] = static_cast<int32_t>(composed);
        continue;
      }
    }
    last_class = mark_class;
    if (mark_class == 0) {
      starter = kept;
      last_class = -1;
    }
    (*points)[kept++] = static_cast<int32_t>(point);
  }
  points->resize(kept);
}

const char* table_unicode_version() { return kTablesVersion; }

}  // namespace midge
