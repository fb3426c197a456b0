// add_outliers_f32_<encoding>_generic of every packed encoding: acc[m, 32] += each outlier times
// its column of weights, in order of columns, a rounding for the product and one for the sum.
#include <cstring>

#include "kernels/kernel_types.h"
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

// The weights of single columns as f32: generic::packed_weight of 32 rows, where scales and
// minimums are kept for the other columns that share them.
template <typename Reader>
class ColumnReader {
 public:
  explicit ColumnReader(const void* units)
      : units_(static_cast<const typename Reader::Unit*>(units)) {}

  void decode(int column, float* out) {
    const int block = column / kColumns;
    const auto& unit = unit_of(block);
    if (!known_[block]) read_scales(unit, block);
    const float* scales = scales_[block];
    const float* minimums = minimums_[block];
    for (int row = 0; row < kTileRows; ++row) {
      if constexpr (kHasSuperBlocks) {
        out[row] = scales[row] * static_cast<float>(Reader::weight(unit, row, column));
        if constexpr (Reader::kHasMinimums) out[row] -= minimums[row];
      } else {
        const int weight =
            Reader::weight(unit, row, column % kColumns) + generic::zero_of<Reader>();
        out[row] = scales[row] * static_cast<float>(weight);
        if constexpr (generic::HasMinimums<Reader>) out[row] += minimums[row];
      }
    }
  }

 private:
  static constexpr bool kHasSuperBlocks = generic::HasSuperBlocks<Reader>;
  static constexpr int columns_of_block() {
    if constexpr (kHasSuperBlocks) return Reader::kBlockColumns;
    return 32;
  }
  static constexpr int kColumns = columns_of_block();
  static constexpr int kUnitBlocks = static_cast<int>(generic::unit_columns<Reader>()) / kColumns;
  static constexpr int kBlocks = kPanelColumns / kColumns;

  const typename Reader::Unit& unit_of(int block) const { return units_[block / kUnitBlocks]; }

  void read_scales(const typename Reader::Unit& unit, int block) {
    known_[block] = true;
    for (int row = 0; row < kTileRows; ++row) {
      if constexpr (kHasSuperBlocks) {
        scales_[block][row] =
            f16_to_f32(unit.scales[row]) * static_cast<float>(Reader::factor(unit, block, row));
        if constexpr (Reader::kHasMinimums) {
          minimums_[block][row] = f16_to_f32(unit.minimums[row]) *
                                  static_cast<float>(Reader::minimum(unit, block, row));
        }
      } else {
        scales_[block][row] = Reader::scale(unit, row);
        if constexpr (generic::HasMinimums<Reader>) {
          minimums_[block][row] = Reader::minimum(unit, row);
        }
      }
    }
  }

  const typename Reader::Unit* units_;
  bool known_[kBlocks] = {};
  float scales_[kBlocks][kTileRows];
  float minimums_[kBlocks][kTileRows];
};

template <typename Reader>
void add_outliers(const AddOutliersArgs* args) {
  int64_t i = rows_without(args->counts, args->m);
  if (i == args->m) return;
  bool decoded[kPanelColumns] = {};
  ColumnReader<Reader> reader(args->rhs);
  while (i < args->m) {
    const Outlier* items = args->items + i * kOutliersMax;
    float* sums = args->acc + i * kTileRows;
    for (int o = 0; o < args->counts[i]; ++o) {
      float* column = args->columns + items[o].column * kTileRows;
      if (!decoded[items[o].column]) {
        reader.decode(items[o].column, column);
        decoded[items[o].column] = true;
      }
      for (int64_t j = 0; j < kTileRows; ++j) sums[j] += items[o].value * column[j];
    }
    ++i;
    i += rows_without(args->counts + i, args->m - i);
  }
}

}  // namespace

#define MIDGE_PACKED_ENCODING(token, Name, Block, elements)                         \
  extern "C" void add_outliers_f32_##token##_generic(const AddOutliersArgs* args) { \
    add_outliers<generic::Read##Name>(args);                                        \
  }
#include "kernels/encodings.def"

}  // namespace midge
