// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend) for packed weights: the specification of the
// decode arithmetic.
//
// Template parameter: how a packed unit is read,
//   Unit                 of 32 columns: a block
//   scale(unit, row)     f32
//   weight(unit, row, i) the integer weight of column i, signed
//   minimum(unit, row)   with kHasMinimums: of the weight kWeightMin
//
// Per block: integer = sum of weight * value, exact; then sum = fma(integer, weight scale *
// activation scale, sum). The blocks of a row follow each other in order of k.
//
// With minimums a weight is scale * integer + middle, middle = minimum - scale * kWeightMin, so
// that the integers are signed, as without. Then each block has, behind its products:
//   sum = fma(middle / -8, activation scale * correction, sum)   as correction is -8 * (sum of
//                                                                values)
//   middle / -8 = fma(minimum, -1 / 8, scale * (kWeightMin / 8)), one rounding
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

/// middle / -8 of a block.
template <typename Reader>
float middle_of(const typename Reader::Unit& unit, int row) {
  static_assert(Reader::kWeightMin % 8 == 0);
  return std::fmaf(Reader::minimum(unit, row), -0.125f,
                   Reader::scale(unit, row) * (Reader::kWeightMin / 8));
}

template <typename Reader>
void gemv_f32_q8b32(const GemvArgs* args) {
  using Unit = typename Reader::Unit;
  const int64_t units = (args->k + 31) / 32;
  for (int64_t i = 0; i < args->m; ++i) {
    const auto* lhs = reinterpret_cast<const LhsBlock*>(static_cast<const char*>(args->lhs) +
                                                        i * args->lhs_stride);
    auto* out = reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + i * args->out_stride);
    const auto* addend = reinterpret_cast<const float*>(
        reinterpret_cast<const char*>(args->addend) + i * args->addend_stride);
    for (int64_t j = 0; j < args->n; ++j) {
      const auto* tile = static_cast<const Unit*>(args->rhs) + j / kTileRows * units;
      const int row = static_cast<int>(j % kTileRows);
      float sum = 0.0f;
      for (int64_t b = 0; b < units; ++b) {
        const Unit& unit = tile[b];
        int32_t integer = 0;
        for (int c = 0; c < 32; ++c) {
          integer += Reader::weight(unit, row, c) * lhs[b].values[c];
        }
        const float scale = Reader::scale(unit, row) * lhs[b].scale;
        sum = std::fmaf(static_cast<float>(integer), scale, sum);
        if constexpr (HasMinimums<Reader>) {
          sum = std::fmaf(middle_of<Reader>(unit, row),
                          lhs[b].scale * static_cast<float>(lhs[b].correction), sum);
        }
      }
      out[j] = args->addend == nullptr ? sum : sum + addend[j];
    }
  }
}

}  // namespace midge::generic
