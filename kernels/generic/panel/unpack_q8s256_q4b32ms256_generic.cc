#include "kernels/generic/panel/unpack_s256.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q4b32ms256_generic(const UnpackArgs* args) {
  generic::unpack_s256<generic::ReadQ4B32MS256>(args);
}
