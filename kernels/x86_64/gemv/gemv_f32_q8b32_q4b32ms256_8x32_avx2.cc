// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32MS256 (kernels/packed.h), 4608 B per 32 rows
// x 256 columns. The product is avx2::gemv_ms256.
//
// maddubs takes q = 0..15 unsigned; the pairs of 8 lines, at most 8 * 2 * 15 * 127, fit 16 bits.
// One madd per block multiplies them by the integer scales and widens. Registers, per half of the
// rows: 2 int16 sums for each of up to 4 tokens, 2 weights, 1 broadcast, 1 product, 2 constants;
// the sums of the unit and of the tile are in registers for m = 1 only. Per block: 8 lines, 16 (5 +
// 5 m) + 14 + 15 m instructions for 1024 m multiply-adds, 64 more from m = 5 on; per unit 8 more
// lines and the minimums. m = 1 is bound by memory, more by instructions. Rounding: that of
// kernels/generic/gemv/gemv_f32_q8b32_s256.h; integers are exact.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_ms256_avx2.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q4b32ms256_8x32_avx2(const GemvArgs* args) {
  avx2::gemv_ms256<15, UnitQ4B32MS256>(args);
}

}  // namespace midge
