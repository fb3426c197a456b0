// What the unpacking kernels share: block scales as integer multipliers, and the rounding product.
// Registers j = 0..3 stand for rows 8j..8j+7.
#pragma once

#include "kernels/x86_64/avx2.h"

namespace midge::avx2 {

/// The larger of `largest`, which has no sign, and |value|. Of a NaN it is NaN: max_ps would lose
/// it.
static inline __m256 larger_magnitude(__m256 largest, __m256 value) {
  const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), value);
  return _mm256_castsi256_ps(
      _mm256_max_epi32(_mm256_castps_si256(largest), _mm256_castps_si256(magnitude)));
}

/// max(largest, |scale|) of every row.
static inline void update_largest(const uint16_t* scales, __m256 (&largest)[4]) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) largest[j] = larger_magnitude(largest[j], load_f16(scales + 8 * j));
}

/// scales[32] = largest * unit; factors = multiplier_max / largest, 0 where largest is 0.
static inline void finish_scales(const __m256 (&largest)[4], float unit, float multiplier_max,
                                 float* scales, __m256 (&factors)[4]) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    _mm256_storeu_ps(scales + 8 * j, _mm256_mul_ps(largest[j], _mm256_set1_ps(unit)));
    const __m256 nonzero = _mm256_cmp_ps(largest[j], _mm256_setzero_ps(), _CMP_NEQ_OQ);
    factors[j] = _mm256_and_ps(_mm256_div_ps(_mm256_set1_ps(multiplier_max), largest[j]), nonzero);
  }
}

/// rint(scale * factor) of 8 rows, each twice: for the two 16-bit halves of a row's 4 columns.
static inline __m256i row_multipliers(const uint16_t* scales, __m256 factor) {
  const __m256i value = _mm256_cvtps_epi32(_mm256_mul_ps(load_f16(scales), factor));
  return _mm256_blend_epi16(value, _mm256_slli_epi32(value, 16), 0xAA);
}

/// (weight * multiplier + 2^14) >> 15 of 32 int8 weights. Those at even and odd places are
/// multiplied apart, in 16 bits.
static inline __m256i multiply_q15(__m256i weights, __m256i multipliers) {
  const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(weights, 8), 8);
  const __m256i odd = _mm256_srai_epi16(weights, 8);
  const __m256i even_product = _mm256_mulhrs_epi16(even, multipliers);
  const __m256i odd_product = _mm256_mulhrs_epi16(odd, multipliers);
  return _mm256_or_si256(_mm256_and_si256(even_product, _mm256_set1_epi16(0x00FF)),
                         _mm256_slli_epi16(odd_product, 8));
}

static inline void store_panel(int8_t* panel, __m256i values) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(panel), values);
}

}  // namespace midge::avx2
