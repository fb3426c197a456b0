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

inline uint32_t largest_magnitude_bits(const float* in, int64_t count) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < count; ++i) bits = std::max(bits, magnitude_bits(in[i]));
  return bits;
}

/// value * inverse rounded to nearest, ties to even: 1.5 * 2^23, when added, does it and leaves the
/// integer in the low bits.
inline int8_t quantize_value(float value, float inverse) {
  constexpr float kRound = 12582912.0f;
  return static_cast<int8_t>(std::bit_cast<uint32_t>(value * inverse + kRound) & 0xFFu);
}

/// in[count] -> out[count]; returns the scale, adds the values to *sum.
inline float quantize_block(const float* in, int64_t count, int8_t* out, int32_t* sum) {
  const QuantizeScale s = quantize_scale(largest_magnitude_bits(in, count));
  if (s.inverse == 0.0f) {
    std::fill_n(out, count, int8_t{0});
    return s.scale;
  }
  for (int64_t i = 0; i < count; ++i) {
    out[i] = quantize_value(in[i], s.inverse);
    *sum += out[i];
  }
  return s.scale;
}

}  // namespace midge::generic
