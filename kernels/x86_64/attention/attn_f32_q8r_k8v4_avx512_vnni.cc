// Attention over int8 keys, values of 4 bits, see attn_vectors.h and
// generic/attention/attn_f32_q8r.h.
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/key_sums_avx512.h"
#include "kernels/x86_64/vectors_avx512.h"

namespace midge {
namespace {

struct TilesK8V4 : attention::CacheK8V4<Avx512Vectors, Avx512KeySums> {
  static constexpr int kSet = 6;
  static constexpr bool kPrefetch = true;
  static constexpr int tile_vectors(int queries) { return queries <= 6 ? 4 : 2; }
  // Of 6 x 4, as for floats.
  static constexpr int key_vectors(int) { return 4; }
};

}  // namespace

extern "C" void attn_f32_q8r_k8v4_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<TilesK8V4>::run(args);
}

}  // namespace midge
