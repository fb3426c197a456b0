#include "kernels/generic/quantize.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" void quantize_q8b32_f32_generic(const QuantizeArgs* args) {
  for (int64_t b = 0; b < lhs_blocks(args->k); ++b) {
    LhsBlock& block = args->out[b];
    block = {};
    const int64_t count = std::min<int64_t>(32, args->k - 32 * b);
    if (count <= 0) continue;
    int32_t sum = 0;
    block.scale = generic::quantize_block(args->in + 32 * b, count, block.values, &sum);
    block.correction = -8 * sum;
  }
}

}  // namespace midge
