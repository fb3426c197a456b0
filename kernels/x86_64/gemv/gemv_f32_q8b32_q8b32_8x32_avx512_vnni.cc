// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ8B32 (kernels/packed.h), 1088 B per 32 rows x 32
// columns.
//
// vpdpbusd takes weights unsigned: value ^ 0x80 = value + 128, and the sums start at -128 * (sum of
// the activations), 16 times the correction.
// Registers: 2 m int32 and 2 m f32 sums, 2 weights, 1 broadcast, 1 mask.
// Per unit: 17 lines, 16 m vpdpbusd = 1024 m multiply-adds; bound by memory.
// Rounding: int32 sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const int64_t units = (args->k + 31) / 32;
  const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  const auto* unit = static_cast<const UnitQ8B32*>(args->rhs);
  for (int64_t column = 0; column < args->n; column += kTileRows) {
    avx512::TileSums<kRows> sums;
    avx512::clear_sums(args, sums);
    for (int64_t b = 0; b < units; ++b, ++unit) {
      x86::prefetch_stream(unit->scales);
      const avx512::RowPair scales = avx512::load_f16(unit->scales);
      __m512i low[kRows];
      __m512i high[kRows];
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const LhsBlock& block = reinterpret_cast<const LhsBlock*>(sums.lhs[i])[b];
        low[i] = high[i] = _mm512_slli_epi32(_mm512_set1_epi32(block.correction), 4);
      }
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        const __m512i weights_low =
            _mm512_xor_si512(avx512::load_stream(unit->values[g][0]), sign_bits);
        const __m512i weights_high =
            _mm512_xor_si512(avx512::load_stream(unit->values[g][1]), sign_bits);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          const LhsBlock& block = reinterpret_cast<const LhsBlock*>(sums.lhs[i])[b];
          const __m512i values = avx512::broadcast_group(block.values + 4 * g);
          low[i] = _mm512_dpbusd_epi32(low[i], weights_low, values);
          high[i] = _mm512_dpbusd_epi32(high[i], weights_high, values);
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const LhsBlock& block = reinterpret_cast<const LhsBlock*>(sums.lhs[i])[b];
        const __m512 scale = _mm512_set1_ps(block.scale);
        sums.low[i] = avx512::add_block(sums.low[i], low[i], scales.low, scale);
        sums.high[i] = avx512::add_block(sums.high[i], high[i], scales.high, scale);
      }
    }
    avx512::store_sums(args, column, sums);
  }
}

}  // namespace

void gemv_f32_q8b32_q8b32_8x32_avx512_vnni(const GemvArgs* args) {
  switch (args->m) {
    case 1: return gemv<1>(args);
    case 2: return gemv<2>(args);
    case 3: return gemv<3>(args);
    case 4: return gemv<4>(args);
    case 5: return gemv<5>(args);
    case 6: return gemv<6>(args);
    case 7: return gemv<7>(args);
    default: return gemv<8>(args);
  }
}

}  // namespace midge
