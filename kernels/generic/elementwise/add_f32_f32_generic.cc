#include "kernels/kernel_types.h"

namespace midge {

extern "C" void add_f32_f32_generic(const AddArgs* args) {
  for (int64_t i = 0; i < args->n; ++i) args->out[i] = args->a[i] + args->b[i];
}

}  // namespace midge
