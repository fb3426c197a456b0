// How the gemv kernels of q4b32m, q5b32 and q5b32m read their units and end a block, for 1, 2 and 4
// rows of activations: kernels/generic/gemv/gemv_f32_q8b32.h is the specification. In C++: the
// compilers keep what a row needs in registers here, as the running sums stay in memory
// (GroupSums).
#pragma once

#include "kernels/arm64/gemv/gemv_groups.h"

namespace midge::arm64 {

/// 16 bytes of 4 columns: 4 rows each of the lower and of the upper half of a tile.
struct NibblePair {
  uint8x16_t low;
  uint8x16_t high;
};

/// q = 0..31 at place `at` (16 * quad of rows) of line g. The inverted fifth bit is 16 where it is
/// 0.
static inline NibblePair load_fifths(const UnitQ5B32MS256::Block& block, int g, int at) {
  const uint8x16_t bytes = vld1q_u8(block.nibbles[g] + at);
  const uint8x16_t bit = vdupq_n_u8(static_cast<uint8_t>(1 << g));
  const uint8x16_t sixteen = vdupq_n_u8(16);
  const uint8x16_t low = vtstq_u8(vld1q_u8(block.high_bits[0] + at), bit);
  const uint8x16_t high = vtstq_u8(vld1q_u8(block.high_bits[1] + at), bit);
  return {vorrq_u8(vandq_u8(bytes, vdupq_n_u8(15)), vbicq_u8(sixteen, low)),
          vorrq_u8(vshrq_n_u8(bytes, 4), vbicq_u8(sixteen, high))};
}

/// sums[4] of output rows row..row + 3: the products of a block and the term of its minimums.
/// kWeightMin: of the encoding's signed weights.
template <int kWeightMin, typename Unit>
static inline void add_block(const Unit& unit, int row, const LhsBlock& lhs, float32x4_t integers,
                             float* sums) {
  const float32x4_t scales = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(unit.scales + row)));
  float32x4_t sum = vld1q_f32(sums);
  sum = vfmaq_f32(sum, integers, vmulq_n_f32(scales, lhs.scale));
  if constexpr (requires { unit.minimums; }) {
    const float32x4_t minimums = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(unit.minimums + row)));
    const float32x4_t steps = vmulq_n_f32(scales, kWeightMin / 8);
    const float32x4_t middles = vfmaq_f32(steps, minimums, vdupq_n_f32(-0.125f));
    const float activations = lhs.scale * static_cast<float>(lhs.correction);
    sum = vfmaq_f32(sum, middles, vdupq_n_f32(activations));
  }
  vst1q_f32(sums, sum);
}

}  // namespace midge::arm64
