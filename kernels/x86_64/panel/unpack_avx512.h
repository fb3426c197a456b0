// What the unpacking kernels share: block scales as integer multipliers, and the rounding product.
#pragma once

#include "kernels/x86_64/avx512.h"

namespace midge::avx512 {

/// multiplier_max / max, 0 where max is 0.
static inline __m512 multiplier_factor(__m512 max, float multiplier_max) {
  const __mmask16 nonzero = _mm512_cmp_ps_mask(max, _mm512_setzero_ps(), _CMP_NEQ_OQ);
  return _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(multiplier_max), max);
}

/// rint(scale * factor) of 16 rows, each twice: for the two 16-bit halves of a row's 4 columns.
static inline __m512i row_multipliers(__m512 scales, __m512 factor) {
  const __m512i value = _mm512_cvtps_epi32(_mm512_mul_ps(scales, factor));
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, value, _mm512_slli_epi32(value, 16));
}

/// Panel bytes (value + 128) of 64 int8 weights: (weight * multiplier + 2^14) >> 15. The weights at
/// even and odd places are multiplied apart, in 16 bits.
static inline __m512i multiply_q15(__m512i weights, __m512i multipliers) {
  const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(weights, 8), 8);
  const __m512i odd = _mm512_srai_epi16(weights, 8);
  const __m512i even_product = _mm512_mulhrs_epi16(even, multipliers);
  const __m512i odd_product = _mm512_slli_epi16(_mm512_mulhrs_epi16(odd, multipliers), 8);
  const __m512i even_places = _mm512_set1_epi16(0x00FF);
  // even_places ? even_product : odd_product
  const __m512i product = _mm512_ternarylogic_epi32(even_places, even_product, odd_product, 0xCA);
  return _mm512_xor_si512(product, _mm512_set1_epi8(static_cast<char>(0x80)));
}

/// Panel bytes of columns 32 * blocks..255: zeros.
static inline void clear_blocks(int8_t* panel, int64_t blocks) {
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int64_t b = blocks * 8; b < kPanelColumns / 4; ++b) {
    _mm512_store_si512(panel + 128 * b, zero);
    _mm512_store_si512(panel + 128 * b + 64, zero);
  }
}

}  // namespace midge::avx512
