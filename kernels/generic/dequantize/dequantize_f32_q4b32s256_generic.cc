#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_q4b32s256_generic(const DequantizeArgs* args) {
  generic::DecodeQ4B32S256::run(args->row, 0, args->k, args->out);
}
