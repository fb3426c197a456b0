#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

void midge::unpack_q8s256_q5b32ms256_amx(const UnpackArgs* args) {
  avx512::unpack_ms256<avx512::kAmxOffset, 31, UnitQ5B32MS256>(args);
}
