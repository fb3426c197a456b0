// What unicode.cc asks of Unicode: from utf8proc, or from the tables of unicode_tables.h.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/tokenizer/unicode_tables.h"

namespace midge {

CategoryGroup category_group(uint32_t code_point);
int combining_class(uint32_t code_point);
/// Appends the full canonical decomposition.
void decompose(uint32_t code_point, std::vector<int32_t>* points);
/// Composes decomposed code points whose marks are in order.
void compose(std::vector<int32_t>* points);
/// For example "15.0.0".
const char* unicode_data_version();

}  // namespace midge
