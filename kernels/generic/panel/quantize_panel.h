// Rows of f32 as a PanelLhs of any PanelShape: the specification of quantize_panel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/generic/quantize.h"

namespace midge::generic {

template <int64_t kTokens, int64_t kGroup>
void quantize_panel(const QuantizePanelArgs* args) {
  const PanelLhs& out = args->out;
  const int64_t super_blocks = (args->k + kPanelColumns - 1) / kPanelColumns;
  const int64_t last = (args->first + args->m + kTokens - 1) / kTokens * kTokens;
  for (int64_t row = args->first; row < last; ++row) {
    const auto* in = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->in) +
                                                    (row - args->first) * args->in_stride);
    for (int64_t s = 0; s < super_blocks; ++s) {
      int8_t values[kPanelColumns] = {};
      int32_t sum = 0;
      float scale = 0.0f;
      if (row < args->first + args->m) {
        const int64_t count = std::min(kPanelColumns, args->k - s * kPanelColumns);
        scale = quantize_block(in + s * kPanelColumns, count, values, &sum);
      }
      out.scales[s * out.rows + row] = scale;
      out.sums[s * out.rows + row] = sum;
      int8_t* to = out.values + (s * out.rows + row / kTokens * kTokens) * kPanelColumns +
                   row % kTokens * kGroup;
      for (int64_t g = 0; g < kPanelColumns / kGroup; ++g) {
        std::copy_n(values + g * kGroup, kGroup, to + g * kTokens * kGroup);
      }
    }
  }
}

}  // namespace midge::generic
