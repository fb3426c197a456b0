// Sums of int8 products of keys and queries, see kernels/attn_vectors.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels/arm64/value_sums_neon.h"

namespace midge {
namespace {

struct NeonKeySums : NeonValueSums {
  // Each key has two sums, which are added in the end.
  struct Sums {
    int32x4_t low;   // of keys 0 and 1
    int32x4_t high;  // of keys 2 and 3
  };
  using KeyVector = int8x16_t;
  using QueryVector = int8x16_t;
  static constexpr int kQueryGroups = 1;

  static inline Sums first_sum(int32_t) { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
  static inline KeyVector load_keys(const uint8_t* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  static inline QueryVector load_group(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof(four));
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  template <int i>
  static inline Sums dot(Sums sums, KeyVector keys, QueryVector query) {
    const int16x8_t low = vmull_s8(vget_low_s8(keys), vget_low_s8(query));
    const int16x8_t high = vmull_high_s8(keys, query);
    return {vpadalq_s16(sums.low, low), vpadalq_s16(sums.high, high)};
  }
  static inline float32x4_t to_float(Sums sums) {
    return vcvtq_f32_s32(vpaddq_s32(sums.low, sums.high));
  }
};

}  // namespace
}  // namespace midge
