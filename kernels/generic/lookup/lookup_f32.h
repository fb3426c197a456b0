// One row of packed weights as f32: the value of kernels/packed.h, rounded like the row form's.
#pragma once

#include <cstdint>

#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

template <typename Reader>
void lookup_f32(const LookupArgs* args) {
  const auto* units = static_cast<const typename Reader::Unit*>(args->tile);
  constexpr int64_t kBlocks = Reader::kBlocks;
  const auto row = static_cast<int>(args->row);
  for (int64_t c = 0; c < args->k; ++c) {
    const auto& unit = units[c / (32 * kBlocks)];
    const int block = static_cast<int>(c / 32 % kBlocks);
    const int weight = Reader::weight(unit, block, row, static_cast<int>(c % 32));
    args->out[c] = Reader::scale(unit, block, row) * static_cast<float>(weight);
  }
}

}  // namespace midge::generic
