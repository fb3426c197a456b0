// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T), by smull.
//
// lhs    [m / 4][16 groups][4 tokens][16 columns]: PanelShape {4, 16}
// panel  [8 quads of rows][16 groups][4 rows][16 columns]
//
// A unit of work is 4 tokens x 4 rows: 16 sums over the columns of a group, joined at the end. Two
// products fit an int16 (2 * 127 * 128 < 2^15), so per 16 columns a sum takes smull, smlal2 and
// sadalp: 6 instructions per 32 multiply-adds, bound by the multiplier.
//
// Registers: 16 int32 sums | 4 registers of lhs | 4 of the panel | 8 products
//
// Rounding: int32 sums are exact; per element one product of scales and one fused multiply-add.
#include <arm_neon.h>

#include "kernels/kernel_types.h"

namespace midge {
namespace {

constexpr int64_t kQuadBytes = 4 * kPanelColumns;

/// acc: 4 rows of the tile's 4 tokens.
inline void multiply_unit(const int8_t* lhs, const int8_t* panel, float32x4_t lhs_scales,
                          float32x4_t panel_scales, float* acc) {
  int32x4_t sums[4][4];
  for (auto& token : sums) {
    for (int32x4_t& sum : token) sum = vdupq_n_s32(0);
  }
  for (int64_t i = 0; i < kQuadBytes; i += 64) {
    int8x16_t rows[4];
    for (int j = 0; j < 4; ++j) rows[j] = vld1q_s8(panel + i + 16 * j);
    for (int t = 0; t < 4; ++t) {
      // No instruction: g++ 12 would load all four tokens ahead and keep sums on the stack.
      if (t == 2) asm volatile("" : : : "memory");
      const int8x16_t token = vld1q_s8(lhs + i + 16 * t);
      int16x8_t products[4];
      for (int j = 0; j < 4; ++j) {
        products[j] = vmull_s8(vget_low_s8(token), vget_low_s8(rows[j]));
      }
      for (int j = 0; j < 4; ++j) products[j] = vmlal_high_s8(products[j], token, rows[j]);
      for (int j = 0; j < 4; ++j) sums[t][j] = vpadalq_s16(sums[t][j], products[j]);
    }
  }
  const float32x4_t scales[4] = {
      vmulq_laneq_f32(panel_scales, lhs_scales, 0), vmulq_laneq_f32(panel_scales, lhs_scales, 1),
      vmulq_laneq_f32(panel_scales, lhs_scales, 2), vmulq_laneq_f32(panel_scales, lhs_scales, 3)};
  for (int t = 0; t < 4; ++t) {
    const int32x4_t sum =
        vpaddq_s32(vpaddq_s32(sums[t][0], sums[t][1]), vpaddq_s32(sums[t][2], sums[t][3]));
    float* to = acc + t * kTileRows;
    vst1q_f32(to, vfmaq_f32(vld1q_f32(to), vcvtq_f32_s32(sum), scales[t]));
  }
}

}  // namespace

extern "C" void gemm_panel_f32_q8s256_q8s256_4x32_neon(const GemmPanelArgs* args) {
  if (args->first) {
    for (int64_t i = 0; i < args->m * kTileRows; i += 4) vst1q_f32(args->acc + i, vdupq_n_f32(0));
  }
  for (int64_t token = 0; token < args->m; token += 4) {
    const float32x4_t lhs_scales = vld1q_f32(args->lhs_scales + token);
    for (int64_t row = 0; row < kTileRows; row += 4) {
      multiply_unit(args->lhs + token * kPanelColumns, args->panel + row * kPanelColumns,
                    lhs_scales, vld1q_f32(args->panel_scales + row),
                    args->acc + token * kTileRows + row);
    }
  }
}

}  // namespace midge
