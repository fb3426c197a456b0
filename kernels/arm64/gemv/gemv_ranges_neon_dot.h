// AddBlocks of q4b32m, q5b32 and q5b32m by sdot.
//
// Half of the output rows of a unit at a time, 8 lower and 8 upper ones, so that the dot products
// of 4 rows of activations take 16 registers; the weights of a half are read once for all rows. 4
// bits: as q4b32, a dot product of whole bytes less that of low nibbles is 16 times the upper
// row's. 5 bits: q = 0..31 in a byte, from twice the correction on.
#pragma once

#include <utility>

#include "kernels/arm64/gemv/gemv_ranges.h"

namespace midge::arm64 {

template <int kRows>
struct Dots {
  int32x4_t low[kRows][2];
  int32x4_t high[kRows][2];
};

/// Line g: 4 columns of quads `first` and first + 1 of both halves of a tile.
template <int g, int kRows>
static inline void dot_line(const UnitQ4B32MS256::Block& block, int first,
                            const int8x16_t (&values)[kRows][2], Dots<kRows>& dots) {
  for (int quad = 0; quad < 2; ++quad) {
    const uint8x16_t bytes = vld1q_u8(block.nibbles[g] + 16 * (first + quad));
    const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15)));
    const int8x16_t whole = vreinterpretq_s8_u8(bytes);
    for (int i = 0; i < kRows; ++i) {
      dots.low[i][quad] = vdotq_laneq_s32(dots.low[i][quad], low, values[i][g / 4], g % 4);
      dots.high[i][quad] = vdotq_laneq_s32(dots.high[i][quad], whole, values[i][g / 4], g % 4);
    }
  }
}

template <int g, int kRows>
static inline void dot_line(const UnitQ5B32MS256::Block& block, int first,
                            const int8x16_t (&values)[kRows][2], Dots<kRows>& dots) {
  for (int quad = 0; quad < 2; ++quad) {
    const NibblePair q = load_fifths(block, g, 16 * (first + quad));
    const int8x16_t low = vreinterpretq_s8_u8(q.low);
    const int8x16_t high = vreinterpretq_s8_u8(q.high);
    for (int i = 0; i < kRows; ++i) {
      dots.low[i][quad] = vdotq_laneq_s32(dots.low[i][quad], low, values[i][g / 4], g % 4);
      dots.high[i][quad] = vdotq_laneq_s32(dots.high[i][quad], high, values[i][g / 4], g % 4);
    }
  }
}

/// What the dot products of a block start from, and the upper rows' in the end.
static inline int32_t start_of(const UnitQ4B32MS256::Block&, const LhsBlock& lhs) {
  return lhs.correction;
}
static inline int32_t start_of(const UnitQ5B32MS256::Block&, const LhsBlock& lhs) {
  return 2 * lhs.correction;
}
static inline float32x4_t upper_of(const UnitQ4B32MS256::Block&, int32x4_t low, int32x4_t high) {
  return vcvtq_n_f32_s32(vsubq_s32(high, low), 4);
}
static inline float32x4_t upper_of(const UnitQ5B32MS256::Block&, int32x4_t, int32x4_t high) {
  return vcvtq_f32_s32(high);
}

template <int kWeightMin, int kRows, typename Unit>
static void add_ranges(const LhsBlock* lhs, int64_t lhs_stride, const Unit* tile, int64_t units,
                       GroupSums* sums) {
  for (int64_t u = 0; u < units; ++u) {
    const Unit& unit = tile[u];
    const LhsBlock* blocks[kRows];
    for (int i = 0; i < kRows; ++i) blocks[i] = byte_offset(lhs + u, i * lhs_stride);
    for (int half = 0; half < 2; ++half) {
      Dots<kRows> dots;
      int8x16_t values[kRows][2];
      for (int i = 0; i < kRows; ++i) {
        const int32x4_t start = vdupq_n_s32(start_of(unit.block, *blocks[i]));
        for (int quad = 0; quad < 2; ++quad) dots.low[i][quad] = dots.high[i][quad] = start;
        values[i][0] = vld1q_s8(blocks[i]->values);
        values[i][1] = vld1q_s8(blocks[i]->values + 16);
      }
      [&]<int... g>(std::integer_sequence<int, g...>) __attribute__((always_inline)) {
        (dot_line<g>(unit.block, 2 * half, values, dots), ...);
      }(std::make_integer_sequence<int, 8>());
      for (int i = 0; i < kRows; ++i) {
        float* to = sums->values[half][i];
        for (int quad = 0; quad < 2; ++quad) {
          const int row = 8 * half + 4 * quad;
          const int32x4_t low = dots.low[i][quad];
          const float32x4_t upper = upper_of(unit.block, low, dots.high[i][quad]);
          add_block<kWeightMin>(unit, row, *blocks[i], vcvtq_f32_s32(low), to + 4 * quad);
          add_block<kWeightMin>(unit, 16 + row, *blocks[i], upper, to + 8 + 4 * quad);
        }
      }
    }
  }
}

template <int kWeightMin, typename Unit>
static inline void gemv_ranges(const GemvArgs* args) {
  gemv_groups<32, 1>(args, (args->k + 31) / 32, add_ranges<kWeightMin, 1, Unit>,
                     add_ranges<kWeightMin, 2, Unit>, add_ranges<kWeightMin, 4, Unit>);
}

}  // namespace midge::arm64
