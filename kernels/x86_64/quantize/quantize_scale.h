// The scale of a block of int8 activations, as kernels/generic/quantize.h defines it. A copy with
// internal linkage and no call into std, see kernels/x86_64/avx512.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/kernel_types.h"

namespace midge::x86 {

/// 1.5 * 2^23: adding it rounds to an integer, ties to even, and leaves it in the low bits.
inline constexpr float kRound = 12582912.0f;
inline constexpr uint32_t kRoundBits = 0x4B400000u;

struct QuantizeScale {
  float scale;    ///< of a value
  float inverse;  ///< values per unit; 0: all values are 0
};

/// max_bits: the largest magnitude of the block as an integer.
static inline QuantizeScale quantize_scale(uint32_t max_bits) {
  constexpr uint32_t kInfinityBits = 0x7F800000u;
  if (max_bits >= kInfinityBits) return {__builtin_nanf(""), 0.0f};
  float max;
  std::memcpy(&max, &max_bits, sizeof(max));
  if (max < kQuantizeMin) return {0.0f, 0.0f};
  return {max / 127.0f, 127.0f / max};
}

}  // namespace midge::x86
