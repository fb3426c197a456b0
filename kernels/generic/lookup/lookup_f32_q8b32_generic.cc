#include "kernels/generic/lookup/lookup_f32.h"
#include "kernels/kernels.h"

void midge::lookup_f32_q8b32_generic(const LookupArgs* args) {
  generic::lookup_f32<generic::ReadQ8B32>(args);
}
