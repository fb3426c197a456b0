// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: f32. rhs: tiles of UnitF16 (kernels/packed.h), 64 B per 32 rows x 1 column.
//
// m = 1: all 32 rows at a time, 4 sums. More: a piece of 64 columns (4 KiB) at a time, taken from
// the first cache level by 16 rows and up to 4 tokens, whose 8 sums stay in registers.
// Per column: 1 line, 4 conversions and 4 fused multiply-adds of 8 rows per token (conversions once
// more for m > 4). Bound by memory up to m = 2.
// Rounding: one fused multiply-add per product, in order of k.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

namespace midge {
namespace {

constexpr int64_t kPiece = 64;

// Columns first..end - 1 of the tile, rows 8 * kFirst.. of it, tokens from..from + kCount - 1.
template <int kFirst, int kRegisters, int kCount, int kRows>
void add_columns(const UnitF16* tile, int64_t first, int64_t end, int from,
                 avx2::TileSums<kRows>& sums) {
  __m256 sum[kCount][kRegisters];
  const float* lhs[kCount];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    lhs[i] = reinterpret_cast<const float*>(sums.lhs[from + i]);
#pragma GCC unroll 4
    for (int j = 0; j < kRegisters; ++j) sum[i][j] = sums.registers[from + i][kFirst + j];
  }
  for (int64_t c = first; c < end; ++c) {
    if (kFirst == 0 && from == 0) x86::request_ahead(tile + c, tile + c + 1);
    __m256 weights[kRegisters];
#pragma GCC unroll 4
    for (int j = 0; j < kRegisters; ++j) {
      weights[j] = avx2::load_f16(tile[c].values + 8 * (kFirst + j));
    }
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      const __m256 value = _mm256_set1_ps(lhs[i][c]);
#pragma GCC unroll 4
      for (int j = 0; j < kRegisters; ++j) {
        sum[i][j] = _mm256_fmadd_ps(weights[j], value, sum[i][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kRegisters; ++j) sums.registers[from + i][kFirst + j] = sum[i][j];
  }
}

template <int kRows>
void gemv(const GemvArgs* args) {
  const auto* tile = static_cast<const UnitF16*>(args->rhs);
  for (int64_t first = 0; first < args->n; first += kTileRows, tile += args->k) {
    avx2::TileSums<kRows> sums;
    avx2::clear_sums(args, sums);
    if constexpr (kRows == 1) {
      add_columns<0, 4, 1>(tile, 0, args->k, 0, sums);
    } else {
      for (int64_t c = 0; c < args->k; c += kPiece) {
        const int64_t end = c + kPiece < args->k ? c + kPiece : args->k;
        constexpr int kFirstTokens = kRows < avx2::kGroup ? kRows : avx2::kGroup;
        add_columns<0, 2, kFirstTokens>(tile, c, end, 0, sums);
        add_columns<2, 2, kFirstTokens>(tile, c, end, 0, sums);
        if constexpr (kRows > avx2::kGroup) {
          add_columns<0, 2, kRows - avx2::kGroup>(tile, c, end, avx2::kGroup, sums);
          add_columns<2, 2, kRows - avx2::kGroup>(tile, c, end, avx2::kGroup, sums);
        }
      }
    }
    avx2::store_sums(args, first, sums);
  }
}

}  // namespace

extern "C" void gemv_f32_f32_f16_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_rows(args->m, [args]<int kRows>() { gemv<kRows>(args); });
}

}  // namespace midge
