// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns. The product is avx2::add_nibbles.
//
// Registers, per half of the rows: 2 int16 sums for each of up to 4 tokens, 2 weights, 1 broadcast,
// 1 product, 3 constants; the f32 sums are in registers for m = 1 only.
// Per unit: 9 lines, 16 (5 + 5 m) + 30 m instructions for 1024 m multiply-adds; m = 1 is bound by
// memory, more by instructions.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const int64_t units = (args->k + 31) / 32;
  const auto* unit = static_cast<const UnitQ4B32*>(args->rhs);
  for (int64_t column = 0; column < args->n; column += kTileRows) {
    avx2::TileSums<kRows> sums;
    avx2::clear_sums(args, sums);
    for (int64_t b = 0; b < units; ++b, ++unit) {
      x86::prefetch_stream(unit->scales);
      const __m256 scales[4] = {avx2::load_f16(unit->scales), avx2::load_f16(unit->scales + 8),
                                avx2::load_f16(unit->scales + 16),
                                avx2::load_f16(unit->scales + 24)};
      avx2::add_nibbles(unit->nibbles, b, scales, sums);
    }
    avx2::store_sums(args, column, sums);
  }
}

}  // namespace

void gemv_f32_q8b32_q4b32_8x32_avx2(const GemvArgs* args) {
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
