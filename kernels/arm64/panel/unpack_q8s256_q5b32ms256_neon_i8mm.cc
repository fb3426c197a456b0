#include "kernels/arm64/panel/unpack_s256.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q5b32ms256_neon_i8mm(const UnpackArgs* args) {
  arm64::unpack_q5b32ms256<arm64::SmmlaOrder>(args);
}
