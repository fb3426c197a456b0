// out[m, n] = lhs[m, k] * decode(rhs)[n, k]^T + addend: the specification of f32 activations
// against weights in any encoding.
//
// Template parameter: a decoder of decode_block.h.
// Sums are ordered as in dot.h, so a row's result depends on neither m nor the tile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/decode_block.h"
#include "kernels/generic/dot.h"
#include "kernels/kernel_types.h"

namespace midge::generic {

template <typename Decode>
void gemm_f32_f32(const GemmArgs* args) {
  // A piece of a weight row is decoded once for up to kRows rows of lhs. 512 f32 are 2 KiB of
  // stack, the sums another 0.5 KiB: both stay in L1 on every core.
  constexpr int64_t kPiece = 512;
  constexpr int64_t kRows = 8;
  static_assert(kPiece % Decode::kBlock == 0 && kPiece % kLanes == 0);
  const auto lhs_row = [&](int64_t i) {
    return reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->lhs) +
                                          i * args->lhs_stride);
  };
  for (int64_t j = 0; j < args->n; ++j) {
    const void* rhs = static_cast<const char*>(args->rhs) + j * args->rhs_stride;
    for (int64_t i0 = 0; i0 < args->m; i0 += kRows) {
      const int64_t rows = std::min(kRows, args->m - i0);
      float sums[kRows][kLanes] = {};
      for (int64_t k0 = 0; k0 < args->k; k0 += kPiece) {
        const int64_t count = std::min(kPiece, args->k - k0);
        float weights[kPiece];
        Decode::run(rhs, k0, count, weights);
        for (int64_t i = 0; i < rows; ++i) {
          dot_accumulate(lhs_row(i0 + i) + k0, weights, count, sums[i]);
        }
      }
      for (int64_t i = 0; i < rows; ++i) {
        float* out = reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) +
                                              (i0 + i) * args->out_stride);
        const auto* addend = reinterpret_cast<const float*>(
            reinterpret_cast<const char*>(args->addend) + (i0 + i) * args->addend_stride);
        const float sum = dot_finish(sums[i]);
        out[j] = args->addend == nullptr ? sum : sum + addend[j];
      }
    }
  }
}

}  // namespace midge::generic
