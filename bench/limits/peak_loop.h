// The integer peak of an instruction set level: multiply-adds on registers alone.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace midge::bench {

struct PeakLoop {
  void (*run)(int64_t iterations);  ///< iterations >= 1; null: the level has none
  double macs;                      ///< multiply-adds per iteration
};

/// The level's dot product instruction on independent accumulators. Runs where the level is
/// available.
PeakLoop peak_loop(IsaLevel level);

}  // namespace midge::bench
