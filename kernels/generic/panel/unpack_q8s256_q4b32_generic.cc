#include "kernels/generic/panel/panel.h"
#include "kernels/kernels.h"

void midge::unpack_q8s256_q4b32_generic(const UnpackArgs* args) {
  generic::unpack<generic::ReadQ4B32>(args);
}
