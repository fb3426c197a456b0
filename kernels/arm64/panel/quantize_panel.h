// Rows of f32 as a PanelLhs. kernels/generic/panel/quantize_panel.h is the specification. Bound by
// the SIMD pipes.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/arm64/quantize/quantize.h"

namespace midge::arm64 {

/// 256 columns of one row. Shape::store puts 16 values at the place of the row's first ones and
/// those of later columns in steps of 16 * Shape::kTokens bytes. Returns the scale and the sum.
template <typename Shape>
static inline float quantize_panel_row(const float* in, int8_t* to, int32_t* sum) {
  uint32x4_t max = vdupq_n_u32(0);
  for (int64_t c = 0; c < kPanelColumns; c += 32) max = vmaxq_u32(max, max_magnitudes(in + c));
  const QuantizeScales s = quantize_scales(vdupq_n_u32(vmaxvq_u32(max)));
  int16x8_t sums = vdupq_n_s16(0);
  for (int64_t c = 0; c < kPanelColumns; c += 16) {
    const int8x16_t values = quantize_16(in + c, s.inverse);
    sums = vpadalq_s8(sums, values);
    Shape::store(to + c * Shape::kTokens, values);
  }
  *sum = vaddlvq_s16(sums);
  return vgetq_lane_f32(s.scale, 0);
}

template <typename Shape>
static inline void quantize_panel(const QuantizePanelArgs* args) {
  const PanelLhs& out = args->out;
  const int64_t super_blocks = (args->k + kPanelColumns - 1) / kPanelColumns;
  const int64_t last =
      (args->first + args->m + Shape::kTokens - 1) / Shape::kTokens * Shape::kTokens;
  for (int64_t row = args->first; row < last; ++row) {
    const bool exists = row < args->first + args->m;
    const auto* in = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->in) +
                                                    (row - args->first) * args->in_stride);
    for (int64_t s = 0; s < super_blocks; ++s) {
      const int64_t count = exists ? args->k - s * kPanelColumns : 0;
      int8_t* to = out.values +
                   (s * out.rows + row / Shape::kTokens * Shape::kTokens) * kPanelColumns +
                   row % Shape::kTokens * Shape::kGroup;
      float padded[kPanelColumns];
      const float* from = in + s * kPanelColumns;
      if (count < kPanelColumns) {
        copy_padded(from, count, padded, kPanelColumns);
        from = padded;
      }
      out.scales[s * out.rows + row] =
          quantize_panel_row<Shape>(from, to, &out.sums[s * out.rows + row]);
    }
  }
}

}  // namespace midge::arm64
