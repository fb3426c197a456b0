// Sums of int8 products of keys and queries by sdot, see kernels/attn_vectors.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels/arm64/value_sums_neon.h"

namespace midge {
namespace {

struct NeonDotKeySums : NeonValueSums {
  using Sums = int32x4_t;
  using KeyVector = int8x16_t;
  using QueryVector = int8x16_t;
  static constexpr int kQueryGroups = 4;

  static inline Sums first_sum(int32_t) { return vdupq_n_s32(0); }
  static inline KeyVector load_keys(const uint8_t* p) {
    return vld1q_s8(reinterpret_cast<const int8_t*>(p));
  }
  static inline QueryVector load_query(const int8_t* p) { return vld1q_s8(p); }
  static inline QueryVector load_group(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof(four));
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  template <int i>
  static inline Sums dot(Sums sums, KeyVector keys, QueryVector query) {
    return vdotq_laneq_s32(sums, keys, query, i);
  }
  static inline float32x4_t to_float(Sums sums) { return vcvtq_f32_s32(sums); }
};

}  // namespace
}  // namespace midge
