// Sums of products of 16-bit weights and int8 values, see kernels/attn_vectors.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace midge {
namespace {

struct NeonValueSums {
  using ValueSums = int32x4_t;
  // 4 dimensions of the first and of the second token.
  struct PairVector {
    int16x4_t first;
    int16x4_t second;
  };
  using WeightVector = int16x8_t;
  static constexpr int kWeightPairs = 4;

  static inline ValueSums no_values() { return vdupq_n_s32(0); }
  template <int kCount>
  static inline void load_pairs(const uint8_t* p, PairVector* pairs) {
    const auto* in = reinterpret_cast<const int8_t*>(p);
    if constexpr (kCount == 1) {
      const int16x8_t both = vmovl_s8(vld1_s8(in));
      pairs[0] = {vget_low_s16(vuzp1q_s16(both, both)), vget_low_s16(vuzp2q_s16(both, both))};
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; i += 2) {
        const int8x16_t bytes = vld1q_s8(in + 8 * i);
        const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
        const int16x8_t high = vmovl_high_s8(bytes);
        const int16x8_t first = vuzp1q_s16(low, high);
        const int16x8_t second = vuzp2q_s16(low, high);
        pairs[i] = {vget_low_s16(first), vget_low_s16(second)};
        pairs[i + 1] = {vget_high_s16(first), vget_high_s16(second)};
      }
    }
  }
  static inline WeightVector load_weights(const int16_t* p) { return vld1q_s16(p); }
  static inline WeightVector load_pair(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return vreinterpretq_s16_s32(vdupq_n_s32(two));
  }
  template <int i>
  static inline ValueSums add_pair(ValueSums sums, PairVector pairs, WeightVector weights) {
    sums = vmlal_laneq_s16(sums, pairs.first, weights, 2 * i);
    return vmlal_laneq_s16(sums, pairs.second, weights, 2 * i + 1);
  }
  static inline float32x4_t values_to_float(ValueSums sums) { return vcvtq_f32_s32(sums); }
  static inline void store_units(int16_t* p, float32x4_t v) {
    vst1_s16(p, vmovn_s32(vcvtnq_s32_f32(v)));
  }
};

}  // namespace
}  // namespace midge
