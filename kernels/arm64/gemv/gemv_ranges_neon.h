// AddBlocks of q4b32m, q5b32 and q5b32m for cores without dot products, a row of activations at a
// time.
//
// Sixteen bits hold the products of a lane, 8 of q = 0..31 with an activation: at most 8 * 31 *
// 127. Quads of output rows one by one, as their products of 4 and 5 bits take 4 registers.
#pragma once

#include "kernels/arm64/gemv/gemv_ranges.h"

namespace midge::arm64 {

/// q at place `at` of line g.
static inline NibblePair load_q(const UnitQ4B32MS256::Block& block, int g, int at) {
  const uint8x16_t bytes = vld1q_u8(block.nibbles[g] + at);
  return {vandq_u8(bytes, vdupq_n_u8(15)), veorq_u8(vshrq_n_u8(bytes, 4), vdupq_n_u8(8))};
}
static inline NibblePair load_q(const UnitQ5B32MS256::Block& block, int g, int at) {
  return load_fifths(block, g, at);
}

/// 16 int16 products of bytes, 4 rows x 4 columns.
struct Products {
  int16x8_t first = vdupq_n_s16(0);
  int16x8_t second = vdupq_n_s16(0);

  inline void add(uint8x16_t q, int8x16_t values) {
    const int8x16_t weights = vreinterpretq_s8_u8(q);
    first = vmlal_s8(first, vget_low_s8(weights), vget_low_s8(values));
    second = vmlal_high_s8(second, weights, values);
  }
  /// The dot products of 4 rows.
  inline int32x4_t sums() const { return vpaddq_s32(vpaddlq_s16(first), vpaddlq_s16(second)); }
};

template <int kWeightMin, typename Unit>
static void add_ranges(const LhsBlock* lhs, int64_t, const Unit* tile, int64_t units,
                       GroupSums* sums) {
  for (int64_t u = 0; u < units; ++u) {
    const Unit& unit = tile[u];
    const LhsBlock& block = lhs[u];
    int8x16_t values[8];
    for (int g = 0; g < 8; ++g) {
      values[g] = vreinterpretq_s8_s32(
          vld1q_dup_s32(reinterpret_cast<const int32_t*>(block.values + 4 * g)));
    }
    const int32x4_t start = vdupq_n_s32(-kWeightMin / 8 * block.correction);
    for (int quad = 0; quad < 4; ++quad) {
      Products low;
      Products high;
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        const NibblePair q = load_q(unit.block, g, 16 * quad);
        low.add(q.low, values[g]);
        high.add(q.high, values[g]);
      }
      float* to = sums->values[quad / 2][0] + quad % 2 * 4;
      const int row = 4 * quad;
      add_block<kWeightMin>(unit, row, block, vcvtq_f32_s32(vaddq_s32(low.sums(), start)), to);
      add_block<kWeightMin>(unit, 16 + row, block, vcvtq_f32_s32(vaddq_s32(high.sums(), start)),
                            to + 8);
    }
  }
}

template <int kWeightMin, typename Unit>
static inline void gemv_ranges(const GemvArgs* args) {
  gemv_single_rows<32, 1>(args, (args->k + 31) / 32, add_ranges<kWeightMin, Unit>);
}

}  // namespace midge::arm64
