// lookup_f32_<encoding>_generic of every packed encoding: one row of a tile as f32, rounded like
// the row form's.
#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge {
namespace {

template <typename Reader>
void lookup(const LookupArgs* args) {
  const auto row = static_cast<int>(args->row);
  for (int64_t c = 0; c < args->k; ++c) {
    args->out[c] = generic::packed_weight<Reader>(args->tile, row, c);
  }
}

}  // namespace

#define MIDGE_PACKED_ENCODING(token, Name, Block, elements)              \
  extern "C" void lookup_f32_##token##_generic(const LookupArgs* args) { \
    lookup<generic::Read##Name>(args);                                   \
  }
#include "kernels/encodings.def"

extern "C" void lookup_f32_f16_generic(const LookupArgs* args) {
  const auto* columns = static_cast<const UnitF16*>(args->tile);
  for (int64_t c = 0; c < args->k; ++c) args->out[c] = f16_to_f32(columns[c].values[args->row]);
}

}  // namespace midge
