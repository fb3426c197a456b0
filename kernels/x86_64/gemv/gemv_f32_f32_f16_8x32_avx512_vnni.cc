// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: f32. rhs: tiles of UnitF16 (kernels/packed.h), 64 B per 32 rows x 1 column.
//
// Registers: 2 m f32 sums, 2 weights, 1 broadcast.
// Per column: 1 line, 2 conversions, 2 m fused multiply-adds of 16 rows each. The sums are chains
// in order of k, 4 cycles a column on Zen 4: 16 B per cycle, several times what memory gives.
// Rounding: one fused multiply-add per product.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const auto* unit = static_cast<const UnitF16*>(args->rhs);
  for (int64_t first = 0; first < args->n; first += kTileRows) {
    avx512::TileSums<kRows> sums;
    avx512::clear_sums(args, sums);
#pragma GCC unroll 4
    for (int64_t c = 0; c < args->k; ++c, ++unit) {
      x86::request_ahead_from<kRows>(unit, unit + 1);
      const avx512::RowPair weights = avx512::load_f16(unit->values);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const __m512 value = _mm512_set1_ps(reinterpret_cast<const float*>(sums.lhs[i])[c]);
        sums.low[i] = _mm512_fmadd_ps(weights.low, value, sums.low[i]);
        sums.high[i] = _mm512_fmadd_ps(weights.high, value, sums.high[i]);
      }
    }
    avx512::store_sums(args, first, sums);
  }
}

}  // namespace

extern "C" void gemv_f32_f32_f16_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_rows(args->m, [args]<int kRows>() { gemv<kRows>(args); });
}

}  // namespace midge
