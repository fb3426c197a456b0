// The panel of packed units of 256 columns with integer scales of blocks of columns, and of units
// of 32 columns whose readers have a range of weights: each of these is a block; panel.h is about
// panels.
//
//   value = (a * weight + b + 2^7) >> 8    a = rint(scale * factor), b = -rint(minimum * factor)
//   panel scale = largest / 127            factor = kBlockMultiplierMax / largest
// scale and minimum are the block's, exact in f32 (11 bits times 8); `largest` is the row's largest
// magnitude that weights of this range can have in any block: |scale * kWeightMin - minimum| or
// |scale * kWeightMax - minimum|, one rounding. Everything fits 16 bits, as 127 * 256 and the
// roundings of a (at most half of 32) and b are below 2^15 - 2^7; the product alone may wrap.
// 256 steps of a and b to one of the panel make their rounding cost 6 % of a step.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/generic/panel/panel_constants.h"
#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

/// A row of a panel. Of each of its `blocks`: scales, minimums (to be subtracted). Columns beyond
/// the last block are zeros. weight(column): kWeightMin..kWeightMax.
template <int kWeightMin, int kWeightMax, int kBlockColumns, typename Weight>
void unpack_row(int64_t blocks, const float* scales, const float* minimums, const Weight& weight,
                int8_t* panel, float* panel_scale) {
  float largest = 0.0f;
  for (int64_t block = 0; block < blocks; ++block) {
    for (const int extreme : {kWeightMin, kWeightMax}) {
      const float value = scales[block] * static_cast<float>(extreme) - minimums[block];
      largest = larger_magnitude(largest, value);
    }
  }
  const float factor = largest == 0.0f ? 0.0f : kBlockMultiplierMax / largest;
  *panel_scale = largest * kBlockUnit;
  std::fill_n(panel, kPanelColumns, int8_t{0});
  for (int column = 0; column < blocks * kBlockColumns; ++column) {
    const int block = column / kBlockColumns;
    const int a = rounded_multiplier(scales[block] * factor);
    const int b = rounded_multiplier(minimums[block] * factor);
    panel[column] = static_cast<int8_t>((a * weight(column) - b + 0x80) >> 8);
  }
}

/// The panel of a unit in plain order: panel[row * 256 + column].
template <typename Reader>
void unpack_s256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const typename Reader::Unit*>(args->rhs);
  constexpr int kBlocks = 256 / Reader::kBlockColumns;
  for (int row = 0; row < kTileRows; ++row) {
    float scales[kBlocks];
    float minimums[kBlocks] = {};
    for (int block = 0; block < kBlocks; ++block) {
      scales[block] =
          f16_to_f32(unit.scales[row]) * static_cast<float>(Reader::factor(unit, block, row));
      if constexpr (Reader::kHasMinimums) {
        minimums[block] =
            f16_to_f32(unit.minimums[row]) * static_cast<float>(Reader::minimum(unit, block, row));
      }
    }
    const auto weight = [&](int column) { return Reader::weight(unit, row, column); };
    unpack_row<Reader::kWeightMin, Reader::kWeightMax, Reader::kBlockColumns>(
        kBlocks, scales, minimums, weight, args->panel + row * kPanelColumns, args->scales + row);
  }
}

/// The same of units of 32 columns with a range of weights. With minimums the integers are the
/// weights as stored, from 0 on.
template <typename Reader>
void unpack_ranges(const UnpackArgs* args) {
  const auto* units = static_cast<const typename Reader::Unit*>(args->rhs);
  constexpr int kZero = zero_of<Reader>();
  const int64_t blocks = (args->k + 31) / 32;
  for (int row = 0; row < kTileRows; ++row) {
    float scales[8] = {};
    float minimums[8] = {};
    for (int64_t b = 0; b < blocks; ++b) {
      scales[b] = Reader::scale(units[b], row);
      if constexpr (HasMinimums<Reader>) minimums[b] = -Reader::minimum(units[b], row);
    }
    const auto weight = [&](int column) {
      return Reader::weight(units[column / 32], row, column % 32) + kZero;
    };
    unpack_row<Reader::kWeightMin + kZero, Reader::kWeightMax + kZero, 32>(
        blocks, scales, minimums, weight, args->panel + row * kPanelColumns, args->scales + row);
  }
}

}  // namespace midge::generic
