// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ5B32MS256 (kernels/packed.h), 5632 B per 32 rows
// x 256 columns.
//
// As for q4b32ms256; the fifth bits of a line are tested into a mask (vptestnmb) under which 16 is
// added to the nibbles: 4 instructions per line more.
// Per block of 32 columns: 11 lines, 16 m vpdpbusd = 1024 m multiply-adds; bound by memory up to
// m = 4.
// Rounding: that of kernels/generic/gemv/gemv_f32_q8b32_s256.h.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_ms256_avx512.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q5b32ms256_8x32_avx512_vnni(const GemvArgs* args) {
  avx512::gemv_ms256<UnitQ5B32MS256>(args);
}

}  // namespace midge
