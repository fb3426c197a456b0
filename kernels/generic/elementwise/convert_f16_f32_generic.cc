#include "kernels/half.h"
#include "kernels/kernels.h"

void midge::convert_f16_f32_generic(const ConvertArgs* args) {
  auto* out = static_cast<uint16_t*>(args->out);
  for (int64_t i = 0; i < args->n; ++i) out[i] = f32_to_f16(args->in[i]);
}
