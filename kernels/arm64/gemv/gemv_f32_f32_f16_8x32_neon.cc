// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), f32 activations and f16 weights.
//
// A column of a tile is 32 weights: 8 vectors of 4 rows, widened exactly. One fused multiply-add
// per weight and row of activations, in order of k. Two rows share the widened weights (16 sums);
// four columns of activations are loaded at a time and used by lane. Per 4 columns and 2 rows: 256
// bytes, 256 multiply-adds. Bound by the SIMD pipes on small cores, by memory with one row.
#include <arm_neon.h>

#include "kernels/arm64/gemv/gemv_rows.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

constexpr int kVectors = kTileRows / 4;

/// sums[row] += one column of weights * the row's activation.
template <int kRows, int kLane>
[[gnu::always_inline]] inline void add_column(const UnitF16& column,
                                              const float32x4_t (&lhs)[kRows],
                                              float32x4_t (&sums)[kRows][kVectors]) {
  for (int v = 0; v < kVectors; v += 2) {
    const float16x8_t half = vreinterpretq_f16_u16(vld1q_u16(column.values + 4 * v));
    const float32x4_t low = vcvt_f32_f16(vget_low_f16(half));
    const float32x4_t high = vcvt_high_f32_f16(half);
    for (int m = 0; m < kRows; ++m) {
      sums[m][v] = vfmaq_laneq_f32(sums[m][v], low, lhs[m], kLane);
      sums[m][v + 1] = vfmaq_laneq_f32(sums[m][v + 1], high, lhs[m], kLane);
    }
  }
}

template <int kRows>
void gemv_tile(const GemvArgs* args, const UnitF16* tile, int64_t row, float* out) {
  const float* lhs[kRows];
  float32x4_t sums[kRows][kVectors];
  for (int m = 0; m < kRows; ++m) {
    lhs[m] = arm64::byte_offset(static_cast<const float*>(args->lhs), (row + m) * args->lhs_stride);
    for (auto& sum : sums[m]) sum = vdupq_n_f32(0.0f);
  }
  int64_t c = 0;
  float32x4_t values[kRows];
  for (; c + 4 <= args->k; c += 4) {
    for (int m = 0; m < kRows; ++m) values[m] = vld1q_f32(lhs[m] + c);
    add_column<kRows, 0>(tile[c], values, sums);
    add_column<kRows, 1>(tile[c + 1], values, sums);
    add_column<kRows, 2>(tile[c + 2], values, sums);
    add_column<kRows, 3>(tile[c + 3], values, sums);
  }
  for (; c < args->k; ++c) {
    for (int m = 0; m < kRows; ++m) values[m] = vld1q_dup_f32(lhs[m] + c);
    add_column<kRows, 0>(tile[c], values, sums);
  }
  for (int m = 0; m < kRows; ++m) {
    for (int v = 0; v < kVectors; ++v) vst1q_f32(out + m * kTileRows + 4 * v, sums[m][v]);
  }
}

}  // namespace

extern "C" void gemv_f32_f32_f16_8x32_neon(const GemvArgs* args) {
  const auto* tile = static_cast<const UnitF16*>(args->rhs);
  for (int64_t first = 0; first < args->n; first += kTileRows, tile += args->k) {
    for (int64_t row = 0; row < args->m; row += 2) {
      float sums[2 * kTileRows];
      const int64_t rows = args->m - row < 2 ? 1 : 2;
      if (rows == 2) {
        gemv_tile<2>(args, tile, row, sums);
      } else {
        gemv_tile<1>(args, tile, row, sums);
      }
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t j = 0; j < kTileRows && first + j < args->n; j += 8) {
          arm64::write_8(args, row + m, first + j, args->n - first - j, sums + m * kTileRows + j);
        }
      }
    }
  }
}

}  // namespace midge
