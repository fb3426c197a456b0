// gemv_f32_q8b32_<encoding>_8x32_generic of every packed encoding, by what its reader has.
#include "kernels/generic/gemv/gemv_f32_q8b32.h"
#include "kernels/generic/gemv/gemv_f32_q8b32_s256.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

template <typename Reader>
void gemv(const GemvArgs* args) {
  if constexpr (generic::HasSuperBlocks<Reader>) {
    generic::gemv_f32_q8b32_s256<Reader>(args);
  } else {
    generic::gemv_f32_q8b32<Reader>(args);
  }
}

}  // namespace

#define MIDGE_PACKED_ENCODING(token, Name, Block, elements)                     \
  extern "C" void gemv_f32_q8b32_##token##_8x32_generic(const GemvArgs* args) { \
    gemv<generic::Read##Name>(args);                                            \
  }
#include "kernels/encodings.def"

}  // namespace midge
