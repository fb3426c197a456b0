#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_q5b32ms256_generic(const DequantizeArgs* args) {
  generic::DecodeQ5B32MS256::run(args->row, 0, args->k, args->out);
}
