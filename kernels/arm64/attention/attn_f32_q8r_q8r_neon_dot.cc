// Attention over int8 keys and values, see attn_vectors.h and generic/attention/attn_f32_q8r.h.
//
// Bound by the SIMD pipes.
#include "kernels/arm64/key_sums_neon_dot.h"
#include "kernels/arm64/vectors_neon.h"
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

struct TilesQ8 : attention::CacheQ8<NeonVectors, NeonDotKeySums> {
  static constexpr int kSet = 8;
  static constexpr bool kPrefetch = false;
  static constexpr int64_t kSoftenPrefetch = 0;
  // 8 x 2 sums, 8 x 4 groups of queries, 2 vectors of keys.
  static constexpr int key_vectors(int queries) { return queries <= 4 ? 4 : 2; }
  static constexpr int value_vectors(int queries) { return queries <= 4 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_q8r_q8r_neon_dot(const AttnArgs* args) {
  attention::Kernel<TilesQ8>::run(args);
}

}  // namespace midge
