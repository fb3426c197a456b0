// Rotary position embedding in halves ("rotate half"), in place.
#include "kernels/kernels.h"

void midge::rope_f32_f32_generic(const RopeArgs* args) {
  const int64_t half = args->width / 2;
  for (int64_t h = 0; h < args->heads; ++h) {
    auto* x = reinterpret_cast<float*>(reinterpret_cast<char*>(args->x) + h * args->head_stride);
    for (int64_t j = 0; j < half; ++j) {
      const float a = x[j];
      const float b = x[j + half];
      x[j] = a * args->cos[j] - b * args->sin[j];
      x[j + half] = b * args->cos[j] + a * args->sin[j];
    }
  }
}
