#include "kernels/arm64/panel/unpack.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q8b32_neon(const UnpackArgs* args) {
  arm64::unpack_q8b32<arm64::SmullOrder>(args);
}
