// unpack_q8s256_<encoding>_generic of every packed encoding, by what its reader has.
#include "kernels/generic/panel/panel.h"
#include "kernels/generic/panel/unpack_s256.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

template <typename Reader>
void unpack(const UnpackArgs* args) {
  if constexpr (generic::HasSuperBlocks<Reader>) {
    generic::unpack_s256<Reader>(args);
  } else if constexpr (generic::HasRange<Reader>) {
    generic::unpack_ranges<Reader>(args);
  } else {
    generic::unpack<Reader>(args);
  }
}

}  // namespace

#define MIDGE_PACKED_ENCODING(token, Name, Block, elements)                 \
  extern "C" void unpack_q8s256_##token##_generic(const UnpackArgs* args) { \
    unpack<generic::Read##Name>(args);                                      \
  }
#include "kernels/encodings.def"

}  // namespace midge
