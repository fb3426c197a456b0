// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32MS256 (kernels/packed.h), 4608 B per 32 rows
// x 256 columns.
//
// A unit goes in two passes: the minimums (2 fused multiply-adds per block and token), then the
// products: per line the low nibbles and the high ones turned back to q, one vpdpbusd with 4
// broadcast activations each. Registers in the products: 2 m int32 dots, 2 m f32 sums of the unit,
// 2 weights, 1 broadcast, 2 constants; the sums of the tile stay on the stack. Per block of 32
// columns: 9 lines, 16 m vpdpbusd = 1024 m multiply-adds; bound by memory up to m = 4. Rounding:
// that of kernels/generic/gemv/gemv_f32_q8b32_s256.h.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_ms256_avx512.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q4b32ms256_8x32_avx512_vnni(const GemvArgs* args) {
  avx512::gemv_ms256<UnitQ4B32MS256>(args);
}

}  // namespace midge
