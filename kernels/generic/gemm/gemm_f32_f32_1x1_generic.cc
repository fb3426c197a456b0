// gemm_f32_f32_<encoding>_1x1_generic of every encoding.
#include "kernels/generic/gemm/gemm_f32_f32.h"
#include "kernels/kernel_types.h"

namespace midge {

#define MIDGE_ENCODING(token, Name, Block, elements)                         \
  extern "C" void gemm_f32_f32_##token##_1x1_generic(const GemmArgs* args) { \
    generic::gemm_f32_f32<generic::Decode##Name>(args);                      \
  }
#include "kernels/encodings.def"

}  // namespace midge
