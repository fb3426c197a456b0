#include "kernels/half.h"
#include "kernels/kernels.h"

void midge::lookup_f32_f16_generic(const LookupArgs* args) {
  const auto* columns = static_cast<const UnitF16*>(args->tile);
  for (int64_t c = 0; c < args->k; ++c) args->out[c] = f16_to_f32(columns[c].values[args->row]);
}
