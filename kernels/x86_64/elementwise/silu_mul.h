// out = gate / (1 + exp(-gate)) * up on vectors of any width, with the bits of exp_f32.
#pragma once

#include "kernels/kernel_types.h"
#include "kernels/vector_math.h"

namespace midge::vectors {

/// exp(x) for the divisor 1 + exp(x): of numbers so small that they vanish beside the 1, any.
/// Isa: a vector type with div, negate, load_first and store_first, and
///   scale(x, parts)   p * 2^n with the ends of the range of x
template <typename Isa>
MIDGE_INLINE typename Isa::V silu_mul(typename Isa::V gate, typename Isa::V up) {
  const typename Isa::V x = Isa::negate(gate);
  const typename Isa::V exp = Isa::scale(x, exp_parts<Isa>(Isa::within(x, -88.0f, 89.0f)));
  return Isa::mul(Isa::div(gate, Isa::add(Isa::broadcast(1.0f), exp)), up);
}

template <typename Isa>
MIDGE_INLINE void silu_mul(const SiluMulArgs* args) {
  int64_t i = 0;
  for (; i + Isa::kWidth <= args->n; i += Isa::kWidth) {
    Isa::store(args->out + i,
               silu_mul<Isa>(Isa::load(args->gate + i), Isa::load(args->up + i)));
  }
  const int64_t left = args->n - i;
  if (left == 0) return;
  Isa::store_first(args->out + i, left,
                   silu_mul<Isa>(Isa::load_first(args->gate + i, left),
                                 Isa::load_first(args->up + i, left)));
}

}  // namespace midge::vectors
