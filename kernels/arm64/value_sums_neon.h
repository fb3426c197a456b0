// Sums of products of 16-bit weights and int8 values, see kernels/attn_vectors.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace midge {
namespace {

struct NeonValueSums {
  // Each dimension has two sums, of the first and of the second tokens of pairs, which are added in
  // the end.
  struct ValueSums {
    int32x4_t low;   // of dimensions 0 and 1
    int32x4_t high;  // of dimensions 2 and 3
  };
  using PairVector = int16x8_t;
  using WeightPair = int16x8_t;
  static inline ValueSums no_values() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static inline PairVector load_pairs(const uint8_t* p) {
    return vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(p)));
  }
  static inline WeightPair load_weights(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return vreinterpretq_s16_s32(vdupq_n_s32(two));
  }
  static inline ValueSums add_pair(ValueSums sums, PairVector pairs, WeightPair weights) {
    return {vmlal_s16(sums.low, vget_low_s16(pairs), vget_low_s16(weights)),
            vmlal_high_s16(sums.high, pairs, weights)};
  }
  static inline float32x4_t values_to_float(ValueSums sums) {
    return vcvtq_f32_s32(vpaddq_s32(sums.low, sums.high));
  }
  static inline void store_units(int16_t* p, float32x4_t v) {
    vst1_s16(p, vmovn_s32(vcvtnq_s32_f32(v)));
  }
};

}  // namespace
}  // namespace midge
