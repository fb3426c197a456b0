#include <cstring>

#include "kernels/kernels.h"

void midge::convert_f32_f32_generic(const ConvertArgs* args) {
  std::memcpy(args->out, args->in, static_cast<size_t>(args->n) * sizeof(float));
}
