// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T), by sdot.
// The loops are in the .S file of this name; here, a sum that starts gets its zeros.
#include "kernels/arm64/panel/gemm_panel.h"
#include "kernels/kernel_types.h"

extern "C" __attribute__((visibility("hidden"))) void midge_gemm_panel_12x32_neon_dot(
    const midge::GemmPanelArgs* args);

namespace midge {

extern "C" void gemm_panel_f32_q8s256_q8s256_12x32_neon_dot(const GemmPanelArgs* args) {
  if (args->first) arm64::clear_sums(args->acc, args->m);
  midge_gemm_panel_12x32_neon_dot(args);
}

}  // namespace midge
