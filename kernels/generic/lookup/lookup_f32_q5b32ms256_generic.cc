#include "kernels/generic/lookup/lookup_f32_s256.h"
#include "kernels/kernels.h"

void midge::lookup_f32_q5b32ms256_generic(const LookupArgs* args) {
  generic::lookup_f32_s256<generic::ReadQ5B32MS256>(args);
}
