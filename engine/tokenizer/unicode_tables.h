// Unicode from tables of our own, for builds where each byte counts: 42 KB instead of utf8proc's
// 340 KB. They are read out of utf8proc (tools/make_unicode_tables.py), and a test compares the
// two.
#pragma once

#include <cstdint>
#include <vector>

namespace midge {

/// General categories, as far as tokenizers tell them apart.
enum class CategoryGroup : uint8_t {
  kOther,         ///< everything else
  kUpper,         ///< Lu Lt
  kLower,         ///< Ll
  kOtherLetter,   ///< Lm Lo
  kMark,          ///< Mn Mc Me
  kDigit,         ///< Nd
  kLetterNumber,  ///< Nl
  kOtherNumber,   ///< No
  kSpace,         ///< Zs Zl Zp
  kConnector,     ///< Pc
};

CategoryGroup table_group(uint32_t code_point);
int table_combining_class(uint32_t code_point);
/// Appends the full canonical decomposition.
void table_decompose(uint32_t code_point, std::vector<int32_t>* points);
/// Composes decomposed code points whose marks are in order. Time O(n log n).
void table_compose(std::vector<int32_t>* points);
const char* table_unicode_version();

}  // namespace midge
