// Activations as int8. kernels/generic/quantize.h is the specification.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/kernel_types.h"

namespace midge::arm64 {

/// [4 blocks]
struct QuantizeScales {
  float32x4_t scale;    ///< of a value
  float32x4_t inverse;  ///< values per unit
};

/// max_bits: the bits of the largest magnitude, whose order is that of the numbers, infinities and
/// NaN above all. An inverse of 0 makes every value 0: fcvtns turns the NaN of infinity * 0 into 0.
static inline QuantizeScales quantize_scales(uint32x4_t max_bits) {
  const float32x4_t max = vreinterpretq_f32_u32(max_bits);
  const uint32x4_t is_tiny = vcltq_f32(max, vdupq_n_f32(kQuantizeMin));
  const uint32x4_t is_finite = vcltq_u32(max_bits, vdupq_n_u32(0x7F800000u));
  const float32x4_t range = vdupq_n_f32(127.0f);
  const uint32x4_t scale = vbicq_u32(vreinterpretq_u32_f32(vdivq_f32(max, range)), is_tiny);
  const uint32x4_t inverse = vbicq_u32(vreinterpretq_u32_f32(vdivq_f32(range, max)), is_tiny);
  return {vreinterpretq_f32_u32(vbslq_u32(is_finite, scale, vdupq_n_u32(0x7FC00000u))),
          vreinterpretq_f32_u32(vandq_u32(inverse, is_finite))};
}

/// The largest magnitudes of in[32], lane by lane.
static inline uint32x4_t max_magnitudes(const float* in) {
  uint32x4_t v[8];
  for (int i = 0; i < 8; ++i) {
    v[i] = vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(in + 4 * i)));
  }
  return vmaxq_u32(vmaxq_u32(vmaxq_u32(v[0], v[1]), vmaxq_u32(v[2], v[3])),
                   vmaxq_u32(vmaxq_u32(v[4], v[5]), vmaxq_u32(v[6], v[7])));
}

/// in[16] * inverse, rounded to nearest even.
static inline int8x16_t quantize_16(const float* in, float32x4_t inverse) {
  int32x4_t v[4];
  for (int i = 0; i < 4; ++i) v[i] = vcvtnq_s32_f32(vmulq_f32(vld1q_f32(in + 4 * i), inverse));
  const int16x8_t low = vuzp1q_s16(vreinterpretq_s16_s32(v[0]), vreinterpretq_s16_s32(v[1]));
  const int16x8_t high = vuzp1q_s16(vreinterpretq_s16_s32(v[2]), vreinterpretq_s16_s32(v[3]));
  return vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
}

/// to[size] = the first `count` of in, then zeros.
static inline void copy_padded(const float* in, int64_t count, float* to, int64_t size) {
  for (int64_t i = 0; i < size; ++i) to[i] = i < count ? in[i] : 0.0f;
}

}  // namespace midge::arm64
