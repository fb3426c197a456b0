// out = gate / (1 + exp(-gate)) * up
#include "kernels/exp_f32.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void silu_mul_f32_f32_generic(const SiluMulArgs* args) {
  for (int64_t i = 0; i < args->n; ++i) {
    const float gate = args->gate[i];
    args->out[i] = gate / (1.0f + generic::exp_f32(-gate)) * args->up[i];
  }
}

}  // namespace midge
