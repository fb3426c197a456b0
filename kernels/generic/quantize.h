// Activations as int8, the specification: value * scale with scale = max / 127.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/kernel_types.h"

namespace midge::generic {

/// How a block is scaled. Found from the largest magnitude as an integer: its order is that of the
/// numbers, infinities and NaN above all.
struct QuantizeScale {
  float scale;    ///< of a value
  float inverse;  ///< values per unit
};

inline QuantizeScale quantize_scale(uint32_t max_bits) {
  constexpr uint32_t kInfinityBits = 0x7F800000u;
  if (max_bits >= kInfinityBits) return {std::numeric_limits<float>::quiet_NaN(), 0.0f};
  const float max = std::bit_cast<float>(max_bits);
  if (max < kQuantizeMin) return {0.0f, 0.0f};
  return {max / 127.0f, 127.0f / max};
}

inline uint32_t magnitude_bits(float value) { return std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu; }

/// in[count] -> out[count]; returns the scale, adds the values to *sum.
inline float quantize_block(const float* in, int64_t count, int8_t* out, int32_t* sum) {
  uint32_t max_bits = 0;
  for (int64_t i = 0; i < count; ++i) max_bits = std::max(max_bits, magnitude_bits(in[i]));
  const QuantizeScale s = quantize_scale(max_bits);
  if (s.inverse == 0.0f) {
    std::fill_n(out, count, int8_t{0});
    return s.scale;
  }
  // 1.5 * 2^23: adding it rounds to an integer, ties to even, and leaves it in the low bits.
  constexpr float kRound = 12582912.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = in[i] * s.inverse + kRound;
    const auto value = static_cast<int8_t>(std::bit_cast<uint32_t>(rounded) & 0xFFu);
    out[i] = value;
    *sum += value;
  }
  return s.scale;
}

}  // namespace midge::generic
