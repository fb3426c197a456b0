// out[k] = in[k] as LhsBlocks; the rounding is that of kernels/generic/quantize.h. About 40
// instructions and 2 divisions per block of 32.
#include "kernels/kernels.h"
#include "kernels/x86_64/quantize/quantize_avx512.h"

void midge::quantize_q8b32_f32_avx512_vnni(const QuantizeArgs* args) {
  const int64_t blocks = lhs_blocks(args->k);
  for (int64_t b = 0; b < blocks; ++b) {
    LhsBlock& block = args->out[b];
    int32_t sum;
    block.scale =
        avx512::quantize_block<2>(args->in + 32 * b, args->k - 32 * b, block.values, &sum);
    block.correction = -8 * sum;
  }
}
