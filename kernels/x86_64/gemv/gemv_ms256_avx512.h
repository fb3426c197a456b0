// The decode kernels of q4b32ms256 and q5b32ms256; kernels/generic/gemv/gemv_f32_q8b32_s256.h is
// the specification.
#pragma once

#include "kernels/x86_64/gemv/gemv_avx512.h"
#include "kernels/x86_64/units_s256_avx512.h"

namespace midge::avx512 {

/// The term of the minimums of a unit that meets blocks first..first + 7.
template <int kRows>
__attribute__((always_inline)) static inline void add_minimums(const uint16_t* minimums,
                                                               const SubScales& sub_scales,
                                                               int64_t first,
                                                               TileSums<kRows>& sums) {
  __m512 low[kRows];
  __m512 high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) low[i] = high[i] = _mm512_setzero_ps();
  for (int b = 0; b < 8; ++b) {
    const __m512 factors_low = _mm512_cvtepi32_ps(load_u8(sub_scales.minimums[0][b]));
    const __m512 factors_high = _mm512_cvtepi32_ps(load_u8(sub_scales.minimums[1][b]));
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const LhsBlock& block = lhs_block(sums.lhs[i], first + b);
      const __m512 activations = _mm512_set1_ps(block.scale * static_cast<float>(block.correction));
      low[i] = _mm512_fmadd_ps(factors_low, activations, low[i]);
      high[i] = _mm512_fmadd_ps(factors_high, activations, high[i]);
    }
  }
  const RowPair scales = load_f16(minimums);
  const __m512 scales_low = _mm512_mul_ps(scales.low, _mm512_set1_ps(0.125f));
  const __m512 scales_high = _mm512_mul_ps(scales.high, _mm512_set1_ps(0.125f));
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sums.low[i] = _mm512_fmadd_ps(scales_low, low[i], sums.low[i]);
    sums.high[i] = _mm512_fmadd_ps(scales_high, high[i], sums.high[i]);
  }
}

/// The products of a unit that meets blocks first..first + 7.
template <int kRows, typename Unit>
__attribute__((always_inline)) static inline void add_products(const Unit& unit,
                                                               const SubScales& sub_scales,
                                                               int64_t first,
                                                               TileSums<kRows>& sums) {
  __m512 low[kRows];
  __m512 high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) low[i] = high[i] = _mm512_setzero_ps();
  for (int b = 0; b < 8; ++b) {
    x86::request_ahead_from<kRows>(unit.blocks + b, unit.blocks + b + 1);
    __m512i dots_low[kRows];
    __m512i dots_high[kRows];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) dots_low[i] = dots_high[i] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const Weights weights = load_weights(unit.blocks[b], g);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const __m512i values = broadcast_group(lhs_block(sums.lhs[i], first + b).values + 4 * g);
        dots_low[i] = _mm512_dpbusd_epi32(dots_low[i], weights.low, values);
        dots_high[i] = _mm512_dpbusd_epi32(dots_high[i], weights.high, values);
      }
    }
    const __m512i factors_low = load_u8(sub_scales.scales[0][b]);
    const __m512i factors_high = load_u8(sub_scales.scales[1][b]);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const __m512 scale = _mm512_set1_ps(lhs_block(sums.lhs[i], first + b).scale);
      const __m512i integers_low = _mm512_mullo_epi32(dots_low[i], factors_low);
      const __m512i integers_high = _mm512_mullo_epi32(dots_high[i], factors_high);
      low[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers_low), scale, low[i]);
      high[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers_high), scale, high[i]);
    }
  }
  const RowPair scales = load_f16(unit.scales);
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sums.low[i] = _mm512_fmadd_ps(scales.low, low[i], sums.low[i]);
    sums.high[i] = _mm512_fmadd_ps(scales.high, high[i], sums.high[i]);
  }
}

/// A unit that meets blocks first..first + 7.
template <int kRows, typename Unit>
__attribute__((always_inline)) static inline void add_unit(const Unit& unit, int64_t first,
                                                           TileSums<kRows>& sums) {
  x86::request_lines(&unit, unit.blocks);
  x86::request_ahead_from<kRows>(&unit, unit.blocks);
  SubScales sub_scales;
  read_sub_scales(unit.sub_scales, &sub_scales);
  add_minimums(unit.minimums, sub_scales, first, sums);
  add_products(unit, sub_scales, first, sums);
}

template <typename Unit>
static inline void gemv_ms256(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, Unit, 256>(
      args, [](const Unit& unit, int64_t u, auto& sums) { add_unit(unit, 8 * u, sums); });
}

}  // namespace midge::avx512
