#include "kernels/generic/panel/unpack_s256.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q6b16s256_generic(const UnpackArgs* args) {
  generic::unpack_s256<generic::ReadQ6B16S256>(args);
}
