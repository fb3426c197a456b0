#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx512.h"

void midge::unpack_q8s256_q4b32_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_q4b32<avx512::kVnniOffset>(args);
}
