// Conversions between f32 and the 16-bit formats, in integer and IEEE arithmetic that every
// compiler and CPU rounds alike. Exact where the format allows it; else to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace midge {

/// Exact; keeps infinities, NaN (payload shifted) and subnormals, also where the program around us
/// has the CPU take subnormal f32 for zero.
static inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFu) << 13;
  const uint32_t exponent = half & 0x7C00u;
  // The exponent of f16 is biased by 15, that of f32 by 127. Subnormals are multiples of 2^-24.
  const float subnormal = static_cast<float>(static_cast<int32_t>(half & 0x3FFu)) * 0x1p-24f;
  const uint32_t normal = magnitude + (112u << 23);
  const uint32_t special = exponent == 0x7C00u ? 0x7F800000u : 0u;
  const uint32_t bits = exponent == 0 ? std::bit_cast<uint32_t>(subnormal) : normal | special;
  return std::bit_cast<float>(bits | sign);
}

/// To nearest, ties to even; overflow gives infinity, NaN stays NaN.
static inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  // 65520 is the midpoint between the largest f16 and 2^16.
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);
  if (magnitude < 0x38800000u) {
    // Below 2^-14 the result is subnormal, a multiple of 2^-24: adding 0.5 (whose last bit is
    // worth 2^-24) lets the addition do the rounding.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3F000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t rounded = magnitude - 0x38000000u + 0xFFFu + odd;
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

/// Exact.
static inline float bf16_to_f32(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

}  // namespace midge
