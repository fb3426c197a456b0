// Attention over int8 keys and values, see attn_vectors.h and generic/attention/attn_f32_q8r.h.
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/key_sums_avx512.h"
#include "kernels/x86_64/vectors_avx512.h"

namespace midge {
namespace {

struct TilesQ8 : attention::CacheQ8<Avx512Vectors, Avx512KeySums> {
  static constexpr int kSet = 6;
  static constexpr bool kPrefetch = true;
  static constexpr int64_t kSoftenPrefetch = 3072;
  // Of 6 x 4, as for floats.
  static constexpr int key_vectors(int) { return 4; }
  static constexpr int value_vectors(int) { return 4; }
};

}  // namespace

extern "C" void attn_f32_q8r_q8r_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<TilesQ8>::run(args);
}

}  // namespace midge
