#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_f16_generic(const DequantizeArgs* args) {
  generic::DecodeF16::run(args->row, 0, args->k, args->out);
}
