#include "kernels/decode_block.h"
#include "kernels/kernels.h"

void midge::dequantize_f32_q5b32m_generic(const DequantizeArgs* args) {
  generic::DecodeQ5B32M::run(args->row, 0, args->k, args->out);
}
