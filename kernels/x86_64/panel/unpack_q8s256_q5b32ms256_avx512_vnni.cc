// 32 rows x 256 columns of UnitQ5B32MS256 as a panel [64 groups of 4 columns][32 rows][4] of value
// + 128; the rounding is that of kernels/generic/panel/unpack_s256.h. 15 instructions and 1 store
// per 64 weights.
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

void midge::unpack_q8s256_q5b32ms256_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ms256<31, UnitQ5B32MS256>(args);
}
