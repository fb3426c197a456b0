// Attention over a cache of f32, see attn_vectors.h.
#include "kernels/arm64/attention/attn_neon.h"
#include "kernels/kernels.h"

void midge::attn_f32_f32_f32_neon(const AttnArgs* args) {
  attention::Kernel<AttentionVectors<CacheF32>>::run(args);
}
