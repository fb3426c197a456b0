// out[k] = in[k] as LhsBlocks; the rounding is that of kernels/generic/quantize.h. About 60
// instructions and 2 divisions per block of 32.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/quantize/quantize_avx2.h"

namespace midge {

extern "C" void quantize_q8b32_f32_avx2(const QuantizeArgs* args) {
  const int64_t blocks = lhs_blocks(args->k);
  for (int64_t b = 0; b < blocks; ++b) {
    LhsBlock& block = args->out[b];
    int32_t sum;
    block.scale = avx2::quantize_block<32>(args->in + 32 * b, args->k - 32 * b, block.values, &sum);
    block.correction = -8 * sum;
  }
}

}  // namespace midge
