// Attention over int8 keys and values, see attn_vectors.h and generic/attention/attn_f32_q8r.h.
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/key_sums_avx2.h"
#include "kernels/x86_64/vectors_avx2.h"

namespace midge {
namespace {

struct TilesQ8 : attention::CacheQ8<Avx2Vectors, Avx2KeySums> {
  static constexpr int kSet = 6;
  static constexpr bool kPrefetch = true;
  static constexpr int64_t kSoftenPrefetch = 1024;
  // Sums of 6 x 1, a vector of keys and its magnitudes, and what a product passes through.
  static constexpr int key_vectors(int queries) { return queries <= 2 ? 4 : queries <= 4 ? 2 : 1; }
  static constexpr int value_vectors(int queries) { return queries <= 2 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_q8r_q8r_avx2(const AttnArgs* args) {
  attention::Kernel<TilesQ8>::run(args);
}

}  // namespace midge
