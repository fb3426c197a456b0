// One row of packed weights with integer scales of runs of columns as f32, rounded like the row
// form's.
#pragma once

#include <cstdint>

#include "kernels/generic/packed_units.h"
#include "kernels/kernel_types.h"

namespace midge::generic {

template <typename Reader>
void lookup_f32_s256(const LookupArgs* args) {
  const auto* units = static_cast<const typename Reader::Unit*>(args->tile);
  const auto row = static_cast<int>(args->row);
  for (int64_t c = 0; c < args->k; ++c) {
    const auto& unit = units[c / 256];
    const int column = static_cast<int>(c % 256);
    const int run = column / Reader::kRunColumns;
    const float scale =
        f16_to_f32(unit.scales[row]) * static_cast<float>(Reader::factor(unit, run, row));
    float value = scale * static_cast<float>(Reader::weight(unit, row, column));
    if constexpr (Reader::kHasMinimums) {
      value -= f16_to_f32(unit.minimums[row]) * static_cast<float>(Reader::minimum(unit, run, row));
    }
    args->out[c] = value;
  }
}

}  // namespace midge::generic
