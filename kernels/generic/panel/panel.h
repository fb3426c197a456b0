// The prefill arithmetic, its specification: int8 panels with a scale per 256 columns.
//
// A row of a panel is the packed row with its block scales folded into the integers:
//   q4b32      value = (16 * (q - 8) * multiplier + 2^14) >> 15, multiplier = rint(scale / max *
//              32496), max the largest |scale| of the 256 columns; scale = max * kQ4Unit. 32496 is
//              127 / 128 of 2^15 rounded to a multiple of 16: the extremes -8 and 7 become -127
//              and 111.
//   q8b32      value = (weight * multiplier + 2^14) >> 15, multiplier = rint(scale / max * 32512);
//              scale = max * kQ8Unit. 32512 is 127 / 128 of 2^15: the extremes +-128 become
//              +-127, so that a scale of either sign keeps them in range
// The shift is the one of pmulhrsw and sqrdmulh. Rounding costs at most half of a 127th of the
// row's largest weight: as much as int8 activations cost.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/generic/panel/panel_constants.h"
#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

/// (a * b + 2^14) >> 15, as pmulhrsw and sqrdmulh round.
inline int multiply_q15(int a, int b) { return (a * b + 0x4000) >> 15; }

/// The integer of a block whose scale is `scale` where the largest is `max`. One division per row
/// and 256 columns: factor = multiplier_max / max.
inline int panel_multiplier(float scale, float factor) {
  return rounded_multiplier(scale * factor);
}

/// The panel of `Reader`'s units in plain order: panel[row * 256 + column].
template <typename Reader>
void unpack(const UnpackArgs* args) {
  const auto* units = static_cast<const typename Reader::Unit*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  for (int row = 0; row < kTileRows; ++row) {
    int8_t* panel = args->panel + row * kPanelColumns;
    std::fill_n(panel, kPanelColumns, int8_t{0});
    constexpr float kUnit = 32768.0f / (Reader::kPanelFactor * Reader::kPanelMultiplierMax);
    float max = 0.0f;
    for (int64_t b = 0; b < blocks; ++b) {
      max = larger_magnitude(max, Reader::scale(units[b], row));
    }
    const float factor = max == 0.0f ? 0.0f : Reader::kPanelMultiplierMax / max;
    args->scales[row] = max * kUnit;
    for (int64_t b = 0; b < blocks; ++b) {
      const int multiplier = panel_multiplier(Reader::scale(units[b], row), factor);
      for (int c = 0; c < 32; ++c) {
        const int weight = Reader::weight(units[b], row, c) * Reader::kPanelFactor;
        panel[32 * b + c] = static_cast<int8_t>(multiply_q15(weight, multiplier));
      }
    }
  }
}

}  // namespace midge::generic
