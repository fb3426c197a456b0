#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

void midge::unpack_q8s256_q4b32ms256_avx512_vnni(const UnpackArgs* args) {
  avx512::unpack_ms256<avx512::kVnniOffset, 15, UnitQ4B32MS256>(args);
}
