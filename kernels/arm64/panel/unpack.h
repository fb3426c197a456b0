// Packed weights as int8 panels in any PanelOrder. kernels/generic/panel/panel.h is the
// specification of the numbers. Bound by the SIMD pipes; all rows of a prompt share the result.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/arm64/panel/panel_order.h"
#include "kernels/generic/panel/panel_constants.h"
#include "kernels/kernel_types.h"

namespace midge::arm64 {

/// The block scales of 32 rows as int16, largest = multiplier_max, and the rows' scales: the
/// largest of the row times `unit`.
template <typename Unit>
static inline void panel_multipliers(const Unit* units, int64_t blocks, float multiplier_max,
                                     float unit, int16_t (*multipliers)[kTileRows], float* scales) {
  for (int64_t row = 0; row < kTileRows; row += 8) {
    uint16x8_t max = vdupq_n_u16(0);  // magnitudes of f16 are ordered like their bits
    for (int64_t b = 0; b < blocks; ++b) {
      const uint16x8_t scale = vld1q_u16(units[b].scales + row);
      max = vmaxq_u16(max, vbicq_u16(scale, vdupq_n_u16(0x8000)));
    }
    float32x4_t factor[2];
    for (int i = 0; i < 2; ++i) {
      const uint16x4_t half = i == 0 ? vget_low_u16(max) : vget_high_u16(max);
      const float32x4_t max_f32 = vcvt_f32_f16(vreinterpret_f16_u16(half));
      vst1q_f32(scales + row + 4 * i, vmulq_n_f32(max_f32, unit));
      const float32x4_t quotient = vdivq_f32(vdupq_n_f32(multiplier_max), max_f32);
      factor[i] =
          vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(quotient), vcgtzq_f32(max_f32)));
    }
    for (int64_t b = 0; b < blocks; ++b) {
      const float16x8_t scale = vreinterpretq_f16_u16(vld1q_u16(units[b].scales + row));
      const float32x4_t low = vmulq_f32(vcvt_f32_f16(vget_low_f16(scale)), factor[0]);
      const float32x4_t high = vmulq_f32(vcvt_high_f32_f16(scale), factor[1]);
      vst1q_s16(multipliers[b] + row, vuzp1q_s16(vreinterpretq_s16_s32(vcvtnq_s32_f32(low)),
                                                 vreinterpretq_s16_s32(vcvtnq_s32_f32(high))));
    }
  }
}

/// Zeros for the blocks of 32 columns that do not exist.
template <typename Order>
static inline void clear_blocks(int8_t* panel, int64_t first) {
  const int8x16_t zeros[4] = {vdupq_n_s8(0), vdupq_n_s8(0), vdupq_n_s8(0), vdupq_n_s8(0)};
  for (int64_t quad = 0; quad < 8; ++quad) {
    int8_t* to = Order::begin(panel, quad);
    for (int64_t group = 2 * first; group < 16; ++group) {
      Order::store(to + group * Order::kGroupBytes, zeros);
    }
  }
}

/// The 16 values of every row of a quad: (16 * q * multiplier + 2^14) >> 15 for q = first[0..7],
/// then for q = second[0..7] (given times 16).
template <typename Tables>
static inline Tables panel_values(int16x8_t first, int16x8_t second, const int16_t* multipliers) {
  const int16x4_t m = vld1_s16(multipliers);
  Tables tables;
  tables.set(join(vqrdmulhq_lane_s16(first, m, 0), vqrdmulhq_lane_s16(second, m, 0)),
             join(vqrdmulhq_lane_s16(first, m, 1), vqrdmulhq_lane_s16(second, m, 1)),
             join(vqrdmulhq_lane_s16(first, m, 2), vqrdmulhq_lane_s16(second, m, 2)),
             join(vqrdmulhq_lane_s16(first, m, 3), vqrdmulhq_lane_s16(second, m, 3)));
  return tables;
}

/// 16 columns of a quad from 4 lines, 64 bytes apart.
template <typename Order>
static inline void load_nibbles(const uint8_t* lines, uint8x16_t bytes[4]) {
  for (int i = 0; i < 4; ++i) bytes[i] = vld1q_u8(lines + 64 * i);
  Order::arrange(bytes);
}

/// q4b32: a nibble has 16 values per row and block, so they are computed once and looked up.
/// Per 32 weights: 3 instructions for the tables, 4-5 to split and look up, 2 of memory.
template <typename Order>
static inline void unpack_q4b32(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ4B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  int16_t multipliers[8][kTileRows];
  panel_multipliers(units, blocks, generic::kQ4MultiplierMax, generic::kQ4Unit, multipliers,
                    args->scales);
  // 16 * (q - 8)
  const int16x8_t negative = {-128, -112, -96, -80, -64, -48, -32, -16};
  const int16x8_t positive = {0, 16, 32, 48, 64, 80, 96, 112};
  for (int64_t quad = 0; quad < 4; ++quad) {
    int8_t* to_lower = Order::begin(args->panel, quad);
    int8_t* to_upper = Order::begin(args->panel, quad + 4);
    for (int64_t b = 0; b < blocks; ++b) {
      // The upper rows have q ^ 8.
      const auto lower =
          panel_values<typename Order::Tables>(negative, positive, multipliers[b] + 4 * quad);
      const auto upper =
          panel_values<typename Order::Tables>(positive, negative, multipliers[b] + 16 + 4 * quad);
      for (int half = 0; half < 2; ++half) {
        uint8x16_t bytes[4];
        load_nibbles<Order>(units[b].nibbles[4 * half] + 16 * quad, bytes);
        int8x16_t low[4];
        int8x16_t high[4];
        for (int i = 0; i < 4; ++i) {
          high[i] = upper.high(bytes[i], i);
          low[i] = lower.low(bytes[i], i);
        }
        Order::store(to_upper, high);
        Order::store(to_lower, low);
        to_upper += Order::kGroupBytes;
        to_lower += Order::kGroupBytes;
      }
    }
  }
  clear_blocks<Order>(args->panel, blocks);
}

/// q8b32: (weight * multiplier + 2^14) >> 15. Per 32 weights: 10 instructions of arithmetic, 4 of
/// memory.
template <typename Order>
static inline void unpack_q8b32(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ8B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  int16_t multipliers[8][kTileRows];
  panel_multipliers(units, blocks, generic::kQ8MultiplierMax, generic::kQ8Unit, multipliers,
                    args->scales);
  for (int64_t quad = 0; quad < 8; ++quad) {
    int8_t* to = Order::begin(args->panel, quad);
    for (int64_t b = 0; b < blocks; ++b) {
      const typename Order::Factors factors(vld1_s16(multipliers[b] + 4 * quad));
      for (int half = 0; half < 2; ++half) {
        uint8x16_t bytes[4];
        for (int i = 0; i < 4; ++i) {
          bytes[i] = vreinterpretq_u8_s8(
              vld1q_s8(units[b].values[4 * half + i][quad / 4] + 16 * (quad % 4)));
        }
        Order::arrange(bytes);
        int8x16_t values[4];
        for (int i = 0; i < 4; ++i) {
          values[i] = factors.multiply(vreinterpretq_s8_u8(bytes[i]), i);
        }
        Order::store(to, values);
        to += Order::kGroupBytes;
      }
    }
  }
  clear_blocks<Order>(args->panel, blocks);
}

}  // namespace midge::arm64
