#include <cmath>

#include "kernels/kernel_types.h"

// acc[m, 32] += lhs_scale * panel_scale * (integer dot product of 256 columns), exact but for one
// product of the scales and one fused multiply-add.
namespace midge {

extern "C" void gemm_panel_f32_q8s256_q8s256_1x32_generic(const GemmPanelArgs* args) {
  for (int64_t i = 0; i < args->m; ++i) {
    const int8_t* lhs = args->lhs + i * kPanelColumns;
    for (int64_t j = 0; j < kTileRows; ++j) {
      const int8_t* panel = args->panel + j * kPanelColumns;
      int32_t integer = 0;
      for (int64_t c = 0; c < kPanelColumns; ++c) integer += lhs[c] * panel[c];
      float& acc = args->acc[i * kTileRows + j];
      const float scale = args->lhs_scales[i] * args->panel_scales[j];
      acc = std::fmaf(static_cast<float>(integer), scale, args->first ? 0.0f : acc);
    }
  }
}

}  // namespace midge
