// Attention over a cache of f16, see attn_vectors.h.
#include "kernels/kernels.h"
#include "kernels/x86_64/attention/attn_avx512.h"

void midge::attn_f32_f32_f16_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<AttentionVectors<CacheF16>>::run(args);
}
