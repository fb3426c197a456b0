// attn_f32_f32_<type of K and V>_avx2, see attn_vectors.h.
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/vectors_avx2.h"

namespace midge {
namespace {

template <typename Cache>
struct Tiles : Cache {
  // A tile of 6 x 2 keeps 12 sums, 2 vectors and a factor in the 16 registers: 12 multiply-adds for
  // 8 loads, where a core does two of each in a cycle.
  static constexpr int kSet = 6;
  static constexpr bool kPrefetch = true;
  static constexpr int tile_vectors(int queries) { return queries <= 2 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_f32_f16_avx2(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF16<Avx2Vectors>>>::run(args);
}

extern "C" void attn_f32_f32_f32_avx2(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF32<Avx2Vectors>>>::run(args);
}

}  // namespace midge
