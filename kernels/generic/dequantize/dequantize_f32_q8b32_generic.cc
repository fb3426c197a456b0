#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_q8b32_generic(const DequantizeArgs* args) {
  generic::DecodeQ8B32::run(args->row, 0, args->k, args->out);
}
