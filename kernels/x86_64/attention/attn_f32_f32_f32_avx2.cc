// Attention over a cache of f32, see attn_vectors.h.
#include "kernels/kernels.h"
#include "kernels/x86_64/attention/attn_avx2.h"

void midge::attn_f32_f32_f32_avx2(const AttnArgs* args) {
  attention::Kernel<AttentionVectors<CacheF32>>::run(args);
}
