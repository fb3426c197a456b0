// Activations that int8 cannot hold beside their neighbours.
//
// In the prefill arithmetic 256 activations share a scale. One that is far larger than the rest
// would leave them a few steps of resolution; it is taken out before they are quantised, and
// multiplied with its weights in f32 (AddOutliersArgs).
#pragma once

#include <cstdint>

#include "kernels/kernel_types.h"

namespace midge {

/// Those of many rows. The counts lie together, as most of them are 0.
struct Outliers {
  uint8_t* counts;  ///< [rows]
  Outlier* items;   ///< [rows][kOutliersMax]

  Outliers from(int64_t row) const { return {counts + row, items + row * kOutliersMax}; }
};

/// Moves the outliers of x[count], count <= 256, to out[kOutliersMax] by column and leaves zeros in
/// their place: those beyond 8 times the mean magnitude, the kOutliersMax largest. None of a
/// super-block that holds an infinity or a NaN. Returns how many.
uint8_t take_outliers(float* x, int64_t count, Outlier* out);

}  // namespace midge
