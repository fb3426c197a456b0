// Rotary position embedding, in place.
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void rope_f32_f32_generic(const RopeArgs* args) {
  for (int64_t h = 0; h < args->heads; ++h) {
    auto* x = reinterpret_cast<float*>(reinterpret_cast<char*>(args->x) + h * args->head_stride);
    for (int64_t j = 0; j < args->width / 2; ++j) {
      float* a = x + j * args->step;
      float* b = a + args->partner;
      const float a_old = *a;
      const float b_old = *b;
      *a = a_old * args->cos[j] - b_old * args->sin[j];
      *b = b_old * args->cos[j] + a_old * args->sin[j];
    }
  }
}

}  // namespace midge
