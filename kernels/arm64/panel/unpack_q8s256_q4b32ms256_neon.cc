#include "kernels/arm64/panel/unpack_s256.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q4b32ms256_neon(const UnpackArgs* args) {
  arm64::unpack_q4b32ms256<arm64::SmullOrder>(args);
}
