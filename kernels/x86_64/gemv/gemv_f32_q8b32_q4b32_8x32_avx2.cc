// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns. The product is avx2::add_nibbles.
//
// Registers, per half of the rows: 2 int16 sums for each of up to 4 tokens, 2 weights, 1 broadcast,
// 1 product, 3 constants; the f32 sums are in registers for m = 1 only.
// Per unit: 9 lines, 16 (5 + 5 m) + 30 m instructions for 1024 m multiply-adds, 64 more from m = 5
// on; m = 1 is bound by memory, more by instructions.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q4b32_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<avx2::TileSums, UnitQ4B32, 32>(
      args, []<int kRows>(const UnitQ4B32& unit, int64_t b, avx2::TileSums<kRows>& sums) {
        x86::request_ahead(&unit, &unit + 1);
        const __m256 scales[4] = {avx2::load_f16(unit.scales), avx2::load_f16(unit.scales + 8),
                                  avx2::load_f16(unit.scales + 16),
                                  avx2::load_f16(unit.scales + 24)};
        avx2::add_nibbles(unit.nibbles, b, scales, sums);
      });
}

}  // namespace midge
