// Attention over a cache of f32, see attn_vectors.h.
#include "kernels/kernels.h"
#include "kernels/x86_64/attention/attn_avx512.h"

void midge::attn_f32_f32_f32_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<AttentionVectors<CacheF32>>::run(args);
}
