// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32M, UnitQ5B32, UnitQ5B32M (kernels/packed.h):
// 640, 704, 768 B per 32 rows x 32 columns. kernels/generic/gemv/gemv_f32_q8b32.h is the
// specification.
//
// q4b32m has the products of q4b32 (avx512::add_nibbles). Those of 5 bits: vpdpbusd takes q = 0..31
// unsigned, made as for q5b32ms256, and the sums start at twice the correction, -16 * (sum of the
// activations). Minimums cost one multiply-add per sum and unit.
// Per unit: 16 m vpdpbusd = 1024 m multiply-adds; bound by memory up to m = 4.
// Rounding: int32 sums are exact; one product of the scales and one fused multiply-add per block,
// one more with minimums.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"
#include "kernels/x86_64/units_s256_avx512.h"

namespace midge {
namespace {

using avx512::RowPair;
using avx512::TileSums;

// Block b of every token with 32 columns of 5 bits.
template <int kRows>
__attribute__((always_inline)) inline void add_fifths(const UnitQ5B32MS256::Block& block, int64_t b,
                                                      const RowPair& scales,
                                                      TileSums<kRows>& sums) {
  __m512i low[kRows];
  __m512i high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    low[i] = high[i] = _mm512_set1_epi32(2 * avx512::lhs_block(sums.lhs[i], b).correction);
  }
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const avx512::Weights weights = avx512::load_weights(block, g);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const int8_t* activations = avx512::lhs_block(sums.lhs[i], b).values + 4 * g;
      const __m512i values = avx512::broadcast_group(activations);
      low[i] = _mm512_dpbusd_epi32(low[i], weights.low, values);
      high[i] = _mm512_dpbusd_epi32(high[i], weights.high, values);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const __m512 scale = _mm512_set1_ps(avx512::lhs_block(sums.lhs[i], b).scale);
    sums.low[i] = avx512::add_block(sums.low[i], low[i], scales.low, scale);
    sums.high[i] = avx512::add_block(sums.high[i], high[i], scales.high, scale);
  }
}

// The term of the minimums of block b; weights are kWeightMin and more.
template <int kWeightMin, int kRows>
__attribute__((always_inline)) inline void add_minimums(const uint16_t* minimums, int64_t b,
                                                        const RowPair& scales,
                                                        TileSums<kRows>& sums) {
  const RowPair values = avx512::load_f16(minimums);
  const __m512 eighth = _mm512_set1_ps(-0.125f);
  const __m512 steps = _mm512_set1_ps(kWeightMin / 8);
  const __m512 low = _mm512_fmadd_ps(values.low, eighth, _mm512_mul_ps(scales.low, steps));
  const __m512 high = _mm512_fmadd_ps(values.high, eighth, _mm512_mul_ps(scales.high, steps));
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const LhsBlock& block = avx512::lhs_block(sums.lhs[i], b);
    const __m512 activations = _mm512_set1_ps(block.scale * static_cast<float>(block.correction));
    sums.low[i] = _mm512_fmadd_ps(low, activations, sums.low[i]);
    sums.high[i] = _mm512_fmadd_ps(high, activations, sums.high[i]);
  }
}

}  // namespace

extern "C" void gemv_f32_q8b32_q4b32m_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ4B32M, 32>(
      args, []<int kRows>(const UnitQ4B32M& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead_from<kRows>(&unit, &unit + 1);
        const RowPair scales = avx512::load_f16(unit.scales);
        avx512::add_nibbles(unit.block.nibbles, b, scales, sums);
        add_minimums<-8>(unit.minimums, b, scales, sums);
      });
}

extern "C" void gemv_f32_q8b32_q5b32_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ5B32, 32>(
      args, []<int kRows>(const UnitQ5B32& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead_from<kRows>(&unit, &unit + 1);
        add_fifths(unit.block, b, avx512::load_f16(unit.scales), sums);
      });
}

extern "C" void gemv_f32_q8b32_q5b32m_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ5B32M, 32>(
      args, []<int kRows>(const UnitQ5B32M& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead_from<kRows>(&unit, &unit + 1);
        const RowPair scales = avx512::load_f16(unit.scales);
        add_fifths(unit.block, b, scales, sums);
        add_minimums<-16>(unit.minimums, b, scales, sums);
      });
}

}  // namespace midge
