#include "kernels/generic/lookup/lookup_f32.h"
#include "kernels/kernels.h"

void midge::lookup_f32_q4b32_generic(const LookupArgs* args) {
  generic::lookup_f32<generic::ReadQ4B32>(args);
}
