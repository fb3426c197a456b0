// dequantize_f32_<encoding>_generic of every encoding: what its decoder says.
#include "kernels/decode_block.h"
#include "kernels/kernel_types.h"

namespace midge {

#define MIDGE_ENCODING(token, Name, Block, elements)                             \
  extern "C" void dequantize_f32_##token##_generic(const DequantizeArgs* args) { \
    generic::Decode##Name::run(args->row, 0, args->k, args->out);                \
  }
#include "kernels/encodings.def"

}  // namespace midge
