#include "kernels/generic/panel/panel.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q8b32_generic(const UnpackArgs* args) {
  generic::unpack<generic::ReadQ8B32>(args);
}
