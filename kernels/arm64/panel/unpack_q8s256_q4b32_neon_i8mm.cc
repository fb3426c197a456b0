#include "kernels/arm64/panel/unpack.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q4b32_neon_i8mm(const UnpackArgs* args) {
  arm64::unpack_q4b32<arm64::SmmlaOrder>(args);
}
