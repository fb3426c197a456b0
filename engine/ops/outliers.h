// Activations that int8 cannot hold beside their neighbours.
//
// In the prefill arithmetic 256 activations share a scale. One that is far larger than the rest
// would leave them a few steps of resolution; it is taken out before they are quantised, and
// multiplied with its weights in f32 (TakeOutliersArgs, AddOutliersArgs).
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

}  // namespace midge
