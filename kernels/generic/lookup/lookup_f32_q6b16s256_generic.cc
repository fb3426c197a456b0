#include "kernels/generic/lookup/lookup_f32_s256.h"
#include "kernels/kernels.h"

void midge::lookup_f32_q6b16s256_generic(const LookupArgs* args) {
  generic::lookup_f32_s256<generic::ReadQ6B16S256>(args);
}
