// Sums of exp(x - maximum) by blocks of 64, on vectors of any width, with the bits of exp_f32.
#pragma once

#include "kernels/kernel_types.h"
#include "kernels/vector_math.h"

namespace midge::vectors {

/// The sum of a whole block. Isa: a vector type with
///   Lanes, no_lanes()    the eight running sums of ExpSumArgs, and those of nothing
///   add_lanes(v, lanes)  adds the next vector of a block
///   total(lanes)         their sum, halves first
template <typename Isa>
MIDGE_INLINE double exp_sum_block(const float* x, float maximum) {
  typename Isa::Lanes lanes = Isa::no_lanes();
#pragma GCC unroll 8
  for (int i = 0; i < kExpSumBlock; i += Isa::kWidth) {
    const typename Isa::V below = Isa::sub(Isa::load(x + i), Isa::broadcast(maximum));
    Isa::add_lanes(exp_to_zero<Isa>(below), &lanes);
  }
  return Isa::total(lanes);
}

template <typename Isa>
MIDGE_INLINE void exp_sum(const ExpSumArgs* args) {
  int64_t i = 0;
  for (; i + kExpSumBlock <= args->n; i += kExpSumBlock) {
    args->sums[i / kExpSumBlock] = exp_sum_block<Isa>(args->x + i, args->maximum);
  }
  if (i == args->n) return;
  float last[kExpSumBlock];
  for (int64_t j = 0; j < kExpSumBlock; ++j) {
    last[j] = i + j < args->n ? args->x[i + j] : -__builtin_inff();
  }
  args->sums[i / kExpSumBlock] = exp_sum_block<Isa>(last, args->maximum);
}

}  // namespace midge::vectors
