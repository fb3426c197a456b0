// What kernels compute with vectors of any width, on the vector type of an ISA: arm64/vectors_neon.h,
// x86_64/vectors_avx2.h, x86_64/vectors_avx512.h.
//
// Such a type, Isa here, lies in an anonymous namespace, so that everything made of it is local to its
// object. It has
//   V, kWidth         a vector of f32 and its lanes
//   load, store, broadcast, add, sub, mul, highest: f32; which operand of highest wins if one is
//                     NaN does not matter
//   highest_lane(v)   the largest lane
//   load_f16<n>(p, v) n vectors of f16 as f32; element_f16(p): one number
//   Factors, kFactors a register of 1 or 4 numbers to multiply by; load_factor(p): one number as number
//                     0; load_factors(p): kFactors numbers, if more than one
//   multiply_add<i>(v, f, sum)  fused v * factor i + sum
//   at_least(v, x)    NaN stays
//   power_of_two(v)   2^n for the integers n in the low bits of v, -126 <= n <= 0; 0 for n = -127
//   keep_from(x, v, limit)  v where x is at least the limit or NaN, else 0
#pragma once

#include <cstdint>

#define MIDGE_INLINE [[gnu::always_inline]] static inline

namespace midge::vectors {

/// Parts of exp(x) = 2^n * p.
template <typename Isa>
struct ExpParts {
  typename Isa::V shifted;  ///< n in the low bits
  typename Isa::V n;
  typename Isa::V p;
};

/// generic::exp_f32, step by step, up to the factor 2^n, for -88 <= x <= 89. kernels/exp_f32.h has the
/// derivation of every constant.
template <typename Isa>
MIDGE_INLINE ExpParts<Isa> exp_parts(typename Isa::V x) {
  using V = typename Isa::V;
  const V round = Isa::broadcast(0x1.8p23f);
  const V shifted = Isa::add(Isa::mul(x, Isa::broadcast(0x1.715476p+0f)), round);
  const V n = Isa::sub(shifted, round);
  const V high = Isa::mul(n, Isa::broadcast(0x1.62e4p-1f));
  const V low = Isa::mul(n, Isa::broadcast(0x1.7f7d1cp-20f));
  const V r = Isa::sub(Isa::sub(x, high), low);
  V p = Isa::broadcast(1.0f / 5040.0f);
  p = Isa::add(Isa::mul(p, r), Isa::broadcast(1.0f / 720.0f));
  p = Isa::add(Isa::mul(p, r), Isa::broadcast(1.0f / 120.0f));
  p = Isa::add(Isa::mul(p, r), Isa::broadcast(1.0f / 24.0f));
  p = Isa::add(Isa::mul(p, r), Isa::broadcast(1.0f / 6.0f));
  p = Isa::add(Isa::mul(p, r), Isa::broadcast(0.5f));
  p = Isa::add(Isa::mul(p, Isa::mul(r, r)), r);
  p = Isa::add(p, Isa::broadcast(1.0f));
  return {shifted, n, p};
}

/// generic::exp_f32 for x <= 0 and NaN: no result is infinite or subnormal, so that one factor 2^n does.
template <typename Isa>
MIDGE_INLINE typename Isa::V exp_to_zero(typename Isa::V x) {
  const ExpParts<Isa> parts = exp_parts<Isa>(Isa::at_least(x, -88.0f));
  return Isa::keep_from(x, Isa::mul(parts.p, Isa::power_of_two(parts.shifted)), -87.33654f);
}

}  // namespace midge::vectors
