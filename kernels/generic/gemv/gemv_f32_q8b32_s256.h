// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend) for packed units of 256 columns with integer
// scales of blocks of columns: the specification of their decode arithmetic. Readers are those of
// kernels/packed_units.h.
//
// Per block of 32 columns: integer = sum over its blocks of weights of factor * (sum of weight *
// value), exact in int32 and in f32 (|integer| < 2^24). Per unit, in this order:
//   minimums (if the encoding has them) = sum of minimum * (activation scale * correction)
//   sum = fma(unit minimum / 8, minimums, sum)         since correction is -8 * (sum of values)
//   products = sum of integer * activation scale
//   sum = fma(unit scale, products, sum)
// The sums over the 8 blocks start at 0 and take one fused multiply-add per block.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/kernel_types.h"
#include "kernels/packed_units.h"

namespace midge::generic {

/// Of block b of a unit and one row; lhs: the block's.
template <typename Reader>
int32_t block_integer(const typename Reader::Unit& unit, int b, int row, const LhsBlock& lhs) {
  constexpr int kBlocks = 32 / Reader::kBlockColumns;
  int32_t integer = 0;
  for (int block = kBlocks * b; block < kBlocks * (b + 1); ++block) {
    int32_t dot = 0;
    for (int c = block * Reader::kBlockColumns; c < (block + 1) * Reader::kBlockColumns; ++c) {
      dot += Reader::weight(unit, row, c) * lhs.values[c % 32];
    }
    integer += Reader::factor(unit, block, row) * dot;
  }
  return integer;
}

/// sum and the products of one unit and one row; lhs: the 8 blocks that meet the unit.
template <typename Reader>
float add_unit(const typename Reader::Unit& unit, int row, const LhsBlock* lhs, float sum) {
  if constexpr (Reader::kHasMinimums) {
    float minimums = 0.0f;
    for (int b = 0; b < 8; ++b) {
      const float activations = lhs[b].scale * static_cast<float>(lhs[b].correction);
      minimums =
          std::fmaf(static_cast<float>(Reader::minimum(unit, b, row)), activations, minimums);
    }
    sum = std::fmaf(f16_to_f32(unit.minimums[row]) * 0.125f, minimums, sum);
  }
  float products = 0.0f;
  for (int b = 0; b < 8; ++b) {
    const int32_t integer = block_integer<Reader>(unit, b, row, lhs[b]);
    products = std::fmaf(static_cast<float>(integer), lhs[b].scale, products);
  }
  return std::fmaf(f16_to_f32(unit.scales[row]), products, sum);
}

template <typename Reader>
void gemv_f32_q8b32_s256(const GemvArgs* args) {
  const int64_t units = (args->k + 255) / 256;
  for (int64_t i = 0; i < args->m; ++i) {
    const auto* lhs = reinterpret_cast<const LhsBlock*>(static_cast<const char*>(args->lhs) +
                                                        i * args->lhs_stride);
    auto* out = reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + i * args->out_stride);
    const auto* addend = reinterpret_cast<const float*>(
        reinterpret_cast<const char*>(args->addend) + i * args->addend_stride);
    for (int64_t j = 0; j < args->n; ++j) {
      const auto* tile =
          static_cast<const typename Reader::Unit*>(args->rhs) + j / kTileRows * units;
      const int row = static_cast<int>(j % kTileRows);
      float sum = 0.0f;
      for (int64_t u = 0; u < units; ++u) {
        sum = add_unit<Reader>(tile[u], row, lhs + 8 * u, sum);
      }
      out[j] = args->addend == nullptr ? sum : sum + addend[j];
    }
  }
}

}  // namespace midge::generic
