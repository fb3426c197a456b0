// add_outliers_f32_<encoding>_generic of every packed encoding: acc[m, 32] += each outlier times
// its column of weights, in order of columns, a rounding for the product and one for the sum.
#include <cstring>

#include "kernels/kernels.h"
#include "kernels/packed_units.h"

namespace midge {
namespace {

// The first rows, in eights, that have no outliers.
int64_t rows_without(const uint8_t* counts, int64_t rows) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, counts + i, 8);
    if (eight != 0) break;
  }
  return i;
}

template <typename Reader>
void decode_column(const void* units, int64_t column, float* out) {
  for (int row = 0; row < kTileRows; ++row) {
    out[row] = generic::packed_weight<Reader>(units, row, column);
  }
}

template <typename Reader>
void add_outliers(const AddOutliersArgs* args) {
  bool decoded[kPanelColumns] = {};
  int64_t i = rows_without(args->counts, args->m);
  while (i < args->m) {
    const Outlier* items = args->items + i * kOutliersMax;
    float* sums = args->acc + i * kTileRows;
    for (int o = 0; o < args->counts[i]; ++o) {
      float* column = args->columns + items[o].column * kTileRows;
      if (!decoded[items[o].column]) {
        decode_column<Reader>(args->rhs, items[o].column, column);
        decoded[items[o].column] = true;
      }
      for (int64_t j = 0; j < kTileRows; ++j) sums[j] += items[o].value * column[j];
    }
    ++i;
    i += rows_without(args->counts + i, args->m - i);
  }
}

}  // namespace

#define MIDGE_PACKED_ENCODING(token, Name, Block, elements)              \
  void add_outliers_f32_##token##_generic(const AddOutliersArgs* args) { \
    add_outliers<generic::Read##Name>(args);                             \
  }
#include "kernels/encodings.def"

}  // namespace midge
