#include "kernels/arm64/panel/unpack_s256.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q6b16s256_neon_i8mm(const UnpackArgs* args) {
  arm64::unpack_q6b16s256<arm64::SmmlaOrder>(args);
}
