#include "kernels/generic/gemm/gemm_f32_f32.h"
#include "kernels/kernels.h"

void midge::gemm_f32_f32_q4b32s256_1x1_generic(const GemmArgs* args) {
  generic::gemm_f32_f32<generic::DecodeQ4B32S256>(args);
}
