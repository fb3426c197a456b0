// The panel of packed units of 256 columns with integer scales of runs of columns; panel.h is about
// panels.
//
//   value = (a * weight + b + 2^7) >> 8    a = rint(scale * factor), b = -rint(minimum * factor)
//   panel scale = largest / 127            factor = kRunMultiplierMax / largest
// scale and minimum are the run's, exact in f32 (11 bits times 8); `largest` is the row's largest
// magnitude that weights of this range can have in any run: |scale * kWeightMin - minimum| or
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

/// The panel of a unit in plain order: panel[row * 256 + column].
template <typename Reader>
void unpack_s256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const typename Reader::Unit*>(args->rhs);
  constexpr int kRuns = 256 / Reader::kRunColumns;
  for (int row = 0; row < kTileRows; ++row) {
    float scales[kRuns];
    float minimums[kRuns] = {};
    float largest = 0.0f;
    for (int run = 0; run < kRuns; ++run) {
      scales[run] =
          f16_to_f32(unit.scales[row]) * static_cast<float>(Reader::factor(unit, run, row));
      if constexpr (Reader::kHasMinimums) {
        minimums[run] =
            f16_to_f32(unit.minimums[row]) * static_cast<float>(Reader::minimum(unit, run, row));
      }
      for (const int weight : {Reader::kWeightMin, Reader::kWeightMax}) {
        const float value = scales[run] * static_cast<float>(weight) - minimums[run];
        largest = std::max(largest, std::fabs(value));
      }
    }
    const float factor = largest == 0.0f ? 0.0f : kRunMultiplierMax / largest;
    args->scales[row] = largest * kRunUnit;
    for (int column = 0; column < kPanelColumns; ++column) {
      const int run = column / Reader::kRunColumns;
      const auto a = static_cast<int>(std::nearbyintf(scales[run] * factor));
      const auto b = static_cast<int>(std::nearbyintf(minimums[run] * factor));
      args->panel[row * kPanelColumns + column] =
          static_cast<int8_t>((a * Reader::weight(unit, row, column) - b + 0x80) >> 8);
    }
  }
}

}  // namespace midge::generic
