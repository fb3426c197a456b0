// One row of packed weights with integer scales of runs of columns as f32, rounded like the row
// form's.
#pragma once

#include <cstdint>

#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

template <typename Reader>
void lookup_f32_s256(const LookupArgs* args) {
  const auto* units = static_cast<const typename Reader::Unit*>(args->tile);
  const auto row = static_cast<int>(args->row);
  for (int64_t c = 0; c < args->k; ++c) {
    args->out[c] = packed_value<Reader>(units[c / 256], row, static_cast<int>(c % 256));
  }
}

}  // namespace midge::generic
