#include "kernels/generic/gemv/gemv_f32_q8b32.h"
#include "kernels/kernels.h"

void midge::gemv_f32_q8b32_q4b32_8x32_generic(const GemvArgs* args) {
  generic::gemv_f32_q8b32<generic::ReadQ4B32>(args);
}
