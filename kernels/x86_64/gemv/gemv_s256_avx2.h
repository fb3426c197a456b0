// What the AVX2 decode kernels of q4b32ms256, q5b32ms256 and q6b16s256 share;
// kernels/generic/gemv/gemv_f32_q8b32_s256.h is the specification.
#pragma once

#include "kernels/x86_64/gemv/gemv_avx2.h"
#include "kernels/x86_64/units_s256_avx2.h"

namespace midge::avx2 {

/// The integer scales of 8 rows, each for both pairs of columns of its lane.
static inline __m256i pair_factors(const int8_t* factors) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(factors));
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}

/// The sums of a unit over its blocks, of rows 8j..8j+7 in [token][j].
template <int kRows>
using UnitSums = __m256[kRows][4];

template <int kRows>
static inline void clear_unit_sums(UnitSums<kRows>& products) {
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < 4; ++j) products[i][j] = _mm256_setzero_ps();
  }
}

/// product + integer * scale: a block.
static inline __m256 add_integers(__m256 product, __m256i integers, __m256 scale) {
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers), scale, product);
}

template <int kRows>
static inline void add_unit_sums(const uint16_t* scales, const UnitSums<kRows>& products,
                                 TileSums<kRows>& sums) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m256 scales_8 = load_f16(scales + 8 * j);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      sums.registers[i][j] = _mm256_fmadd_ps(scales_8, products[i][j], sums.registers[i][j]);
    }
  }
}

}  // namespace midge::avx2
