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
  /// The first 4 n of 16 bytes as f32.
  template <int kCount>
  static inline void convert_s8(int8x16_t bytes, float32x4_t* v) {
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
    v[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    if constexpr (kCount > 1) v[1] = vcvtq_f32_s32(vmovl_high_s16(low));
    if constexpr (kCount > 2) {
      const int16x8_t high = vmovl_high_s8(bytes);
      v[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
      v[3] = vcvtq_f32_s32(vmovl_high_s16(high));
    }
  }
  /// 4 n bytes, zeros behind them.
  template <int kCount>
  static inline uint8x16_t load_bytes(const uint8_t* p) {
    static_assert(kCount == 1 || kCount == 2 || kCount == 4);
    if constexpr (kCount == 4) {
      return vld1q_u8(p);
    } else if constexpr (kCount == 2) {
      return vcombine_u8(vld1_u8(p), vdup_n_u8(0));
    } else {
      uint32_t word;
      __builtin_memcpy(&word, p, sizeof(word));
      return vreinterpretq_u8_u32(vsetq_lane_u32(word, vdupq_n_u32(0), 0));
    }
  }
  template <int kCount>
  static inline void load_s8(const uint8_t* p, float32x4_t* v) {
    convert_s8<kCount>(vreinterpretq_s8_u8(load_bytes<kCount>(p)), v);
  }
  template <int kCount>
  static inline void load_nibbles(const uint8_t* p, int shift, float32x4_t* v) {
    const int8x16_t right = vdupq_n_s8(static_cast<int8_t>(-shift));
    const uint8x16_t low = vandq_u8(vshlq_u8(load_bytes<kCount>(p), right), vdupq_n_u8(15));
    convert_s8<kCount>(vsubq_s8(vreinterpretq_s8_u8(low), vdupq_n_s8(8)), v);
  }
  static inline float element_f16(const uint8_t* p) {
    return vgetq_lane_f32(
        vcvt_f32_f16(vreinterpret_f16_u16(vld1_dup_u16(reinterpret_cast<const uint16_t*>(p)))), 0);
  }
};

}  // namespace
}  // namespace midge
