#include "kernels/generic/gemv/gemv_f32_q8b32_s256.h"
#include "kernels/kernels.h"

void midge::gemv_f32_q8b32_q5b32ms256_8x32_generic(const GemvArgs* args) {
  generic::gemv_f32_q8b32_s256<generic::ReadQ5B32MS256>(args);
}
