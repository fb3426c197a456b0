// Vectors of NEON, see kernels/vector_math.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace midge {
namespace {

struct NeonVectors {
  using V = float32x4_t;
  using Factors = float32x4_t;
  static constexpr int kWidth = 4;
  static constexpr int kFactors = 4;

  static inline V load(const float* p) { return vld1q_f32(p); }
  static inline void store(float* p, V v) { vst1q_f32(p, v); }
  static inline V broadcast(float x) { return vdupq_n_f32(x); }
  static inline V add(V a, V b) { return vaddq_f32(a, b); }
  static inline V sub(V a, V b) { return vsubq_f32(a, b); }
  static inline V mul(V a, V b) { return vmulq_f32(a, b); }
  static inline V highest(V a, V b) { return vmaxq_f32(a, b); }
  static inline float highest_lane(V v) { return vmaxvq_f32(v); }

  static inline Factors load_factors(const float* p) { return vld1q_f32(p); }
  static inline Factors load_factor(const float* p) { return vld1q_dup_f32(p); }
  template <int i>
  static inline V multiply_add(V v, Factors factors, V sum) {
    return vfmaq_laneq_f32(sum, v, factors, i);
  }

  static inline V at_least(V v, float x) { return vmaxq_f32(broadcast(x), v); }
  static inline V power_of_two(V v) {
    const int32x4_t biased = vaddq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(127));
    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));
  }
  static inline V keep_from(V x, V v, float limit) {
    const uint32x4_t below = vcltq_f32(x, broadcast(limit));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), below));
  }

  template <int kCount>
  static inline void load_f16(const uint8_t* p, float32x4_t* v) {
    const auto* in = reinterpret_cast<const uint16_t*>(p);
    if constexpr (kCount == 1) {
      v[0] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(in)));
    } else {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; i += 2) {
        const float16x8_t pair = vreinterpretq_f16_u16(vld1q_u16(in + 4 * i));
        v[i] = vcvt_f32_f16(vget_low_f16(pair));
        v[i + 1] = vcvt_high_f32_f16(pair);
      }
    }
  }
  static inline float element_f16(const uint8_t* p) {
    return vgetq_lane_f32(
        vcvt_f32_f16(vreinterpret_f16_u16(vld1_dup_u16(reinterpret_cast<const uint16_t*>(p)))), 0);
  }
};

}  // namespace
}  // namespace midge
