#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

void midge::unpack_q8s256_q6b16s256_amx(const UnpackArgs* args) {
  avx512::unpack_q6b16s256<avx512::kAmxOffset>(args);
}
