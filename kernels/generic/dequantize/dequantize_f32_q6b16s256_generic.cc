#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_q6b16s256_generic(const DequantizeArgs* args) {
  generic::DecodeQ6B16S256::run(args->row, 0, args->k, args->out);
}
