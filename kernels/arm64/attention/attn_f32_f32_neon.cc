// attn_f32_f32_<type of K and V>_neon, see attn_vectors.h.
//
// Bound by the SIMD pipes; a single query on f32 by the loads.
#include "kernels/arm64/vectors_neon.h"
#include "kernels/attn_vectors.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

template <typename Cache>
struct Tiles : Cache {
  // A tile of 8 x 2 keeps 16 sums, 8 queries x 4 factors and 2 vectors in the 32 registers, and
  // multiplies by lane: 64 multiply-adds for 12 loads and 8 conversions.
  static constexpr int kSet = 8;
  // Nobody has measured it on a device; it takes 4 % more instructions, of one query 15 to 26 %.
  static constexpr bool kPrefetch = false;
  static constexpr int tile_vectors(int queries) { return queries <= 4 ? 4 : 2; }
};

}  // namespace

extern "C" void attn_f32_f32_f16_neon(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF16<NeonVectors>>>::run(args);
}

extern "C" void attn_f32_f32_f32_neon(const AttnArgs* args) {
  attention::Kernel<Tiles<attention::CacheF32<NeonVectors>>>::run(args);
}

}  // namespace midge
