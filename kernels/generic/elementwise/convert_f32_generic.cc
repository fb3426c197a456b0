// convert_<type>_f32_generic.
#include <cstring>

#include "kernels/half.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void convert_f32_f32_generic(const ConvertArgs* args) {
  std::memcpy(args->out, args->in, static_cast<size_t>(args->n) * sizeof(float));
}

extern "C" void convert_f16_f32_generic(const ConvertArgs* args) {
  auto* out = static_cast<uint16_t*>(args->out);
  for (int64_t i = 0; i < args->n; ++i) out[i] = f32_to_f16(args->in[i]);
}

}  // namespace midge
