#include "engine/tokenizer/unicode_data.h"

namespace midge {

CategoryGroup category_group(uint32_t code_point) { return table_group(code_point); }
int combining_class(uint32_t code_point) { return table_combining_class(code_point); }
void decompose(uint32_t code_point, std::vector<int32_t>* points) {
  table_decompose(code_point, points);
}
void compose(std::vector<int32_t>* points) { table_compose(points); }
const char* unicode_data_version() { return table_unicode_version(); }

}  // namespace midge
