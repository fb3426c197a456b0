// What the gemm_panel kernels in assembly rely on.
#pragma once

#include <arm_neon.h>

#include <cstddef>

#include "kernels/kernel_types.h"

namespace midge::arm64 {

static_assert(offsetof(GemmPanelArgs, m) == 0);
static_assert(offsetof(GemmPanelArgs, first) == 8);
static_assert(offsetof(GemmPanelArgs, lhs) == 16);
static_assert(offsetof(GemmPanelArgs, lhs_scales) == 24);
static_assert(offsetof(GemmPanelArgs, panel) == 40);
static_assert(offsetof(GemmPanelArgs, panel_scales) == 48);
static_assert(offsetof(GemmPanelArgs, acc) == 56);

/// acc[m, 32] = 0
static inline void clear_sums(float* acc, int64_t m) {
  for (int64_t i = 0; i < m * kTileRows; i += 4) vst1q_f32(acc + i, vdupq_n_f32(0.0f));
}

}  // namespace midge::arm64
