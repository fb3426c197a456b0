#include <array>

#include <utf8proc.h>
#include "engine/tokenizer/unicode_data.h"

namespace midge {
namespace {

constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

}  // namespace

CategoryGroup category_group(uint32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT: return CategoryGroup::kUpper;
    case UTF8PROC_CATEGORY_LL: return CategoryGroup::kLower;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CategoryGroup::kOtherLetter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return CategoryGroup::kMark;
    case UTF8PROC_CATEGORY_ND: return CategoryGroup::kDigit;
    case UTF8PROC_CATEGORY_NL: return CategoryGroup::kLetterNumber;
    case UTF8PROC_CATEGORY_NO: return CategoryGroup::kOtherNumber;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return CategoryGroup::kSpace;
    case UTF8PROC_CATEGORY_PC: return CategoryGroup::kConnector;
    default: return CategoryGroup::kOther;
  }
}

int combining_class(uint32_t code_point) {
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point))->combining_class;
}

void decompose(uint32_t code_point, std::vector<int32_t>* points) {
  std::array<int32_t, 8> parts = {};  // canonical decompositions have at most four code points
  int last_boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<int32_t>(code_point), parts.data(),
                                             static_cast<utf8proc_ssize_t>(parts.size()), kOptions,
                                             &last_boundary);
  if (count < 1 || count > static_cast<utf8proc_ssize_t>(parts.size())) {
    points->push_back(static_cast<int32_t>(code_point));
  } else {
    points->insert(points->end(), parts.begin(), parts.begin() + count);
  }
}

void compose(std::vector<int32_t>* points) {
  const auto length = utf8proc_normalize_utf32(
      points->data(), static_cast<utf8proc_ssize_t>(points->size()), kOptions);
  points->resize(length < 0 ? 0 : static_cast<size_t>(length));
}

const char* unicode_data_version() { return utf8proc_unicode_version(); }

}  // namespace midge
