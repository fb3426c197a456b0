// attn_f32_f32_<type of K and V>_avx512_vnni, see attn_vectors.h.
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/vectors_avx512.h"

namespace midge {
namespace {

template <typename Cache>
struct Tiles : Cache {
  // A tile of 6 x 4 keeps 24 sums, 4 vectors and a factor in the 32 registers: 24 multiply-adds for
  // 10 loads.
  static constexpr int kSet = 6;
  static constexpr bool kPrefetch = true;
  static constexpr int tile_vectors(int queries) { return queries <= 6 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_f32_f16_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF16<Avx512Vectors>>>::run(args);
}

extern "C" void attn_f32_f32_f32_avx512_vnni(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF32<Avx512Vectors>>>::run(args);
}

}  // namespace midge
