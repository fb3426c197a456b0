// exp for f32 in plain multiplications and additions, so that every ISA gives the same bits.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), r = x - n * ln 2 in two steps (Cody and Waite, 1980),
// exp(r) by its Taylor series up to r^7: |r| <= ln 2 / 2 leaves a term of 5e-9.
// Largest error found over every 64th f32 from -87.3 to 88.7: 0.985 ulp
// (tests/kernels/exp_test.cc).
#pragma once

#include <bit>
#include <cstdint>

namespace midge::generic {

/// Below -87.33 (the smallest normal result) gives 0, above 88.72 infinity, NaN stays NaN.
inline float exp_f32(float x) {
  constexpr float kInvLn2 = 0x1.715476p+0f;
  // ln 2 = high + low; high has 9 trailing zero bits, so n * high is exact for |n| < 2^9.
  constexpr float kLn2High = 0x1.62e4p-1f;
  constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  // Adding 1.5 * 2^23 rounds to an integer, which then sits in the low bits.
  constexpr float kRound = 0x1.8p23f;
  // Clamped so that the conversion below stays in range; the ends are mended by the selections.
  const float clamped = x < -88.0f ? -88.0f : (x > 89.0f ? 89.0f : x);
  const float shifted = clamped * kInvLn2 + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  // Not Horner to the end: the small terms are added to r first, so that only one rounding is
  // relative to 1.
  p = p * (r * r) + r;
  p = p + 1.0f;
  // 2^n in two factors, because n = 128 has no f32 of its own.
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  const int32_t half = exponent >> 1;
  const float scale_a = std::bit_cast<float>((half + 127) << 23);
  const float scale_b = std::bit_cast<float>((exponent - half + 127) << 23);
  const float result = p * scale_a * scale_b;
  const float below = x < -87.33654f ? 0.0f : result;
  const float ends = x > 88.72283f ? __builtin_inff() : below;
  return x != x ? x : ends;
}

}  // namespace midge::generic
