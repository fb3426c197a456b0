// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns. The product is avx512::add_nibbles.
//
// Registers: 2 m int32 and 2 m f32 sums, 2 weights, 1 broadcast, 2 masks; m = 8 needs a few more
// than there are, which costs a dozen spills per unit. Per unit: 9 loads, 9 prefetches, 16 m
// vpdpbusd = 1024 m multiply-adds. Bound by memory up to m = 4; m = 8 about as much by the two
// multiply ports of Zen 4 (16 + 4 cycles per token and unit). Rounding: int32 sums are exact; one
// product of the scales and one fused multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const int64_t units = (args->k + 31) / 32;
  const auto* unit = static_cast<const UnitQ4B32*>(args->rhs);
  for (int64_t column = 0; column < args->n; column += kTileRows) {
    avx512::TileSums<kRows> sums;
    avx512::clear_sums(args, sums);
    for (int64_t b = 0; b < units; ++b, ++unit) {
      x86::prefetch_stream(unit->scales);
      avx512::add_nibbles(unit->nibbles, b, avx512::load_f16(unit->scales), sums);
    }
    avx512::store_sums(args, column, sums);
  }
}

}  // namespace

void gemv_f32_q8b32_q4b32_8x32_avx512_vnni(const GemvArgs* args) {
  switch (args->m) {
    case 1: return gemv<1>(args);
    case 2: return gemv<2>(args);
    case 3: return gemv<3>(args);
    case 4: return gemv<4>(args);
    case 5: return gemv<5>(args);
    case 6: return gemv<6>(args);
    case 7: return gemv<7>(args);
    default: return gemv<8>(args);
  }
}

}  // namespace midge
