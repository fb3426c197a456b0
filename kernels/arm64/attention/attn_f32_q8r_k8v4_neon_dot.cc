// Attention over int8 keys, values of 4 bits, see attn_vectors.h and
//
// Bound by the SIMD pipes.
// generic/attention/attn_f32_q8r.h.
#include "kernels/arm64/key_sums_neon_dot.h"
#include "kernels/arm64/vectors_neon.h"
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

struct TilesK8V4 : attention::CacheK8V4<NeonVectors, NeonDotKeySums> {
  static constexpr int kSet = 8;
  static constexpr bool kPrefetch = false;
  static constexpr int tile_vectors(int queries) { return queries <= 4 ? 4 : 2; }
  // 8 x 2 sums, 8 x 4 groups of queries, 2 vectors of keys.
  static constexpr int key_vectors(int queries) { return queries <= 4 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_q8r_k8v4_neon_dot(const AttnArgs* args) {
  attention::Kernel<TilesK8V4>::run(args);
}

}  // namespace midge
