// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ5B32MS256 (kernels/packed.h), 5632 B per 32 rows
// x 256 columns. The product is avx2::gemv_ms256.
//
// maddubs takes q = 0..31 unsigned; the pairs of 4 lines, at most 4 * 2 * 31 * 127, fit 16 bits.
// One madd per 4 lines multiplies them by the integer scales and widens. The fifth bits of a line
// cost 4 instructions per register of weights. Registers: those of q4b32ms256, 2 more integer sums
// for each token and 1 more constant. Per block: 10 lines, 16 (12 + 5 m) + 30 m instructions for
// 1024 m multiply-adds, 64 more from m = 5 on; per unit 8 more lines and the minimums. m = 1 is
// bound by memory, more by instructions. Rounding: that of
// kernels/generic/gemv/gemv_f32_q8b32_s256.h; integers are exact.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_ms256_avx2.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q5b32ms256_8x32_avx2(const GemvArgs* args) {
  avx2::gemv_ms256<31, UnitQ5B32MS256>(args);
}

}  // namespace midge
