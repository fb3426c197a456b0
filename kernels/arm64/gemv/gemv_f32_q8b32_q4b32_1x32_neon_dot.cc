#include "kernels/arm64/gemv/gemv_q4b32_neon_dot.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q4b32_1x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_single_rows<32, 1>(args, (args->k + 31) / 32, midge_gemv_q4b32_1x32_neon_dot_add);
}

}  // namespace midge
