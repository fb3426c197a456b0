// Packed units of 256 columns with integer scales of blocks of columns, and of 32 columns as
// blocks, as int8 panels in any PanelOrder. kernels/generic/panel/unpack_s256.h is the
// specification of the numbers.
//
// A value is the high byte of a * q + c in 16 bits, c = 2^7 - b: per 16 weights two of ushll, mul
// and addhn. Everything of the blocks, a and c of all rows, is computed first.
// Bound by the SIMD pipes.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "kernels/arm64/panel/panel_order.h"
#include "kernels/arm64/panel/unpack.h"
#include "kernels/arm64/units_s256.h"
#include "kernels/generic/panel/panel_constants.h"
#include "kernels/kernel_types.h"

namespace midge::arm64 {

/// a and c of every block and row, for weights given as q.
template <int kBlocks>
struct BlockIntegers {
  int16_t a[kBlocks][kTileRows];
  int16_t c[kBlocks][kTileRows];
};

static inline float32x4_t scale_4(const uint16_t* scales, const int8_t* factors) {
  uint32_t bytes;
  std::memcpy(&bytes, factors, sizeof(bytes));
  const int16x8_t wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(bytes)));
  const float32x4_t integers = vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
  return vmulq_f32(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scales))), integers);
}

/// The larger of `largest` and the magnitude of scales * weight - minimums.
static inline float32x4_t max_magnitude(float32x4_t largest, float32x4_t scales, float weight,
                                        float32x4_t minimums) {
  return vmaxq_f32(largest, vabsq_f32(vsubq_f32(vmulq_n_f32(scales, weight), minimums)));
}

/// The integers of rows row..row + 3 and their panel scales, from the scales and minimums of
/// `blocks` blocks. Weights are q + kWeightMin up to kWeightMax.
template <int kBlocks, int kWeightMin, int kWeightMax>
static inline void integers_of_rows(int64_t blocks, const float32x4_t (&scales)[kBlocks],
                                    const float32x4_t (&minimums)[kBlocks], int row,
                                    BlockIntegers<kBlocks>* out, float* panel_scales) {
  float32x4_t largest = vdupq_n_f32(0.0f);
  for (int64_t block = 0; block < blocks; ++block) {
    largest = max_magnitude(largest, scales[block], kWeightMin, minimums[block]);
    largest = max_magnitude(largest, scales[block], kWeightMax, minimums[block]);
  }
  vst1q_f32(panel_scales + row, vmulq_n_f32(largest, generic::kBlockUnit));
  const float32x4_t quotient = vdivq_f32(vdupq_n_f32(generic::kBlockMultiplierMax), largest);
  const float32x4_t factor =
      vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(quotient), vcgtzq_f32(largest)));
  for (int64_t block = 0; block < blocks; ++block) {
    const int16x4_t a = vmovn_s32(vcvtnq_s32_f32(vmulq_f32(scales[block], factor)));
    const int16x4_t b = vmovn_s32(vcvtnq_s32_f32(vmulq_f32(minimums[block], factor)));
    const int16x4_t c = vsub_s16(vdup_n_s16(0x80), b);
    vst1_s16(out->a[block] + row, a);
    vst1_s16(out->c[block] + row, vmla_n_s16(c, a, kWeightMin));
  }
}

/// The same of all rows of a unit of 256 columns. minimums: null if there are none.
template <int kBlocks, int kWeightMin, int kWeightMax>
static inline void block_integers(const uint16_t* scales, const int8_t (*factors)[kTileRows],
                                  const uint16_t* minimums, const int8_t (*sub_minimums)[kTileRows],
                                  BlockIntegers<kBlocks>* out, float* panel_scales) {
  for (int row = 0; row < kTileRows; row += 4) {
    float32x4_t block_scales[kBlocks];
    float32x4_t block_minimums[kBlocks];
    for (int block = 0; block < kBlocks; ++block) {
      block_scales[block] = scale_4(scales + row, factors[block] + row);
      block_minimums[block] = minimums == nullptr
                                  ? vdupq_n_f32(0.0f)
                                  : scale_4(minimums + row, sub_minimums[block] + row);
    }
    integers_of_rows<kBlocks, kWeightMin, kWeightMax>(kBlocks, block_scales, block_minimums, row,
                                                      out, panel_scales);
  }
}

/// 16 columns of a quad of rows: q (in the order of the packed unit) to the panel.
template <typename Order>
static inline void store_values(uint8x16_t q[4], const int16_t* a, const int16_t* c, int8_t* to) {
  int16x4_t a_rows = vld1_s16(a);
  int16x4_t c_rows = vld1_s16(c);
  // No instruction: g++ 12 would load the lanes one by one into general registers and spill them.
  asm("" : "+w"(a_rows), "+w"(c_rows));
  Order::arrange(q);
  int8x16_t values[4];
  for (int i = 0; i < 4; ++i) {
    const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(q[i])));
    const int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(q[i]));
    values[i] = vaddhn_high_s16(
        vaddhn_s16(vmulq_s16(low, Order::spread_16(a_rows, i, 0)), Order::spread_16(c_rows, i, 0)),
        vmulq_s16(high, Order::spread_16(a_rows, i, 1)), Order::spread_16(c_rows, i, 1));
  }
  Order::store(to, values);
}

/// q of 16 columns from line `first` on, of quads `quad` and quad + 4.
static inline void read_weights(const UnitQ4B32MS256::Block& block, int first, int64_t quad,
                                uint8x16_t low[4], uint8x16_t high[4]) {
  for (int i = 0; i < 4; ++i) {
    const uint8x16_t bytes = vld1q_u8(block.nibbles[first + i] + 16 * quad);
    low[i] = low_nibbles(bytes);
    high[i] = veorq_u8(high_nibbles(bytes), vdupq_n_u8(8));
  }
}

static inline void read_weights(const UnitQ5B32MS256::Block& block, int first, int64_t quad,
                                uint8x16_t low[4], uint8x16_t high[4]) {
  const uint8x16_t low_bits = vld1q_u8(block.high_bits[0] + 16 * quad);
  const uint8x16_t high_bits = vld1q_u8(block.high_bits[1] + 16 * quad);
  const uint8x16_t sixteen = vdupq_n_u8(16);
  for (int i = 0; i < 4; ++i) {
    const uint8x16_t bytes = vld1q_u8(block.nibbles[first + i] + 16 * quad);
    const uint8x16_t bit = vdupq_n_u8(static_cast<uint8_t>(1 << (first + i)));
    // 16 where the inverted bit is 0.
    low[i] = vorrq_u8(low_nibbles(bytes), vbicq_u8(sixteen, vtstq_u8(low_bits, bit)));
    high[i] = vorrq_u8(high_nibbles(bytes), vbicq_u8(sixteen, vtstq_u8(high_bits, bit)));
  }
}

/// Of block `block`.
static inline void read_weights(const UnitQ6B16S256& unit, int block, int64_t quad,
                                uint8x16_t low[4], uint8x16_t high[4]) {
  const uint8x16_t places = vdupq_n_u8(0x30);
  for (int p = 0; p < 2; ++p) {
    const UnitQ6B16S256::Columns8& eight = unit.columns8[block / 2][block % 2 * 2 + p];
    // The upper of the two bits is stored inverted.
    const uint8x16_t bits = veorq_u8(vld1q_u8(eight.high_bits + 16 * quad), vdupq_n_u8(0xAA));
    const uint8x16_t first = vld1q_u8(eight.nibbles[0] + 16 * quad);
    const uint8x16_t second = vld1q_u8(eight.nibbles[1] + 16 * quad);
    low[2 * p] = vorrq_u8(low_nibbles(first), vandq_u8(vshlq_n_u8(bits, 4), places));
    high[2 * p] = vorrq_u8(high_nibbles(first), vandq_u8(vshlq_n_u8(bits, 2), places));
    low[2 * p + 1] = vorrq_u8(low_nibbles(second), vandq_u8(bits, places));
    high[2 * p + 1] = vorrq_u8(high_nibbles(second), vandq_u8(vshrq_n_u8(bits, 2), places));
  }
}

/// q4b32ms256 and q5b32ms256, q = 0..kWeightMax.
template <typename Order, int kWeightMax, typename Unit>
static inline void unpack_ms256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const Unit*>(args->rhs);
  SubScales sub_scales;
  read_sub_scales(unit.sub_scales, &sub_scales);
  BlockIntegers<8> integers;
  block_integers<8, 0, kWeightMax>(unit.scales, sub_scales.scales, unit.minimums,
                                   sub_scales.minimums, &integers, args->scales);
  for (int64_t quad = 0; quad < 4; ++quad) {
    int8_t* to_lower = Order::begin(args->panel, quad);
    int8_t* to_upper = Order::begin(args->panel, quad + 4);
    for (int half = 0; half < 16; ++half) {
      const int b = half / 2;
      uint8x16_t low[4];
      uint8x16_t high[4];
      read_weights(unit.blocks[b], half % 2 * 4, quad, low, high);
      store_values<Order>(low, integers.a[b] + 4 * quad, integers.c[b] + 4 * quad, to_lower);
      store_values<Order>(high, integers.a[b] + 16 + 4 * quad, integers.c[b] + 16 + 4 * quad,
                          to_upper);
      to_lower += Order::kGroupBytes;
      to_upper += Order::kGroupBytes;
    }
  }
}

/// q4b32m, q5b32 and q5b32m, weights q + kWeightMin up to kWeightMax: units of 32 columns as
/// blocks.
template <typename Order, int kWeightMin, int kWeightMax, typename Unit>
static inline void unpack_ranges(const UnpackArgs* args) {
  const auto* units = static_cast<const Unit*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  const auto four = [](const uint16_t* halves) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves)));
  };
  BlockIntegers<8> integers;
  for (int row = 0; row < kTileRows; row += 4) {
    float32x4_t scales[8];
    float32x4_t minimums[8];
    for (int64_t b = 0; b < blocks; ++b) {
      scales[b] = four(units[b].scales + row);
      minimums[b] = vdupq_n_f32(0.0f);
      if constexpr (requires { units->minimums; }) {
        minimums[b] = vsubq_f32(minimums[b], four(units[b].minimums + row));
      }
    }
    integers_of_rows<8, kWeightMin, kWeightMax>(blocks, scales, minimums, row, &integers,
                                                args->scales);
  }
  for (int64_t quad = 0; quad < 4; ++quad) {
    int8_t* to_lower = Order::begin(args->panel, quad);
    int8_t* to_upper = Order::begin(args->panel, quad + 4);
    for (int64_t half = 0; half < 2 * blocks; ++half) {
      const int64_t b = half / 2;
      uint8x16_t low[4];
      uint8x16_t high[4];
      read_weights(units[b].block, static_cast<int>(half % 2 * 4), quad, low, high);
      store_values<Order>(low, integers.a[b] + 4 * quad, integers.c[b] + 4 * quad, to_lower);
      store_values<Order>(high, integers.a[b] + 16 + 4 * quad, integers.c[b] + 16 + 4 * quad,
                          to_upper);
      to_lower += Order::kGroupBytes;
      to_upper += Order::kGroupBytes;
    }
  }
  clear_blocks<Order>(args->panel, blocks);
}

template <typename Order>
static inline void unpack_q4b32ms256(const UnpackArgs* args) {
  unpack_ms256<Order, 15, UnitQ4B32MS256>(args);
}

template <typename Order>
static inline void unpack_q5b32ms256(const UnpackArgs* args) {
  unpack_ms256<Order, 31, UnitQ5B32MS256>(args);
}

template <typename Order>
static inline void unpack_q6b16s256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const UnitQ6B16S256*>(args->rhs);
  BlockIntegers<16> integers;
  block_integers<16, -32, 31>(unit.scales, unit.sub_scales, nullptr, nullptr, &integers,
                              args->scales);
  for (int64_t quad = 0; quad < 4; ++quad) {
    int8_t* to_lower = Order::begin(args->panel, quad);
    int8_t* to_upper = Order::begin(args->panel, quad + 4);
    for (int block = 0; block < 16; ++block) {
      uint8x16_t low[4];
      uint8x16_t high[4];
      read_weights(unit, block, quad, low, high);
      store_values<Order>(low, integers.a[block] + 4 * quad, integers.c[block] + 4 * quad,
                          to_lower);
      store_values<Order>(high, integers.a[block] + 16 + 4 * quad,
                          integers.c[block] + 16 + 4 * quad, to_upper);
      to_lower += Order::kGroupBytes;
      to_upper += Order::kGroupBytes;
    }
  }
}

}  // namespace midge::arm64
