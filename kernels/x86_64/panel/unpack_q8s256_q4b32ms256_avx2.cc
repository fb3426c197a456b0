// 32 rows x 256 columns of UnitQ4B32MS256 as a panel [64 groups of 4 columns][32 rows][4] of int8;
// the rounding is that of kernels/generic/panel/unpack_s256.h. About 12 instructions per 32
// weights.
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx2.h"

void midge::unpack_q8s256_q4b32ms256_avx2(const UnpackArgs* args) {
  avx2::unpack_ms256<15, UnitQ4B32MS256>(args);
}
