// What the AVX2 kernels share. All of it is `static inline`: an object compiled for a level must
// not define a symbol that code for weaker CPUs could be linked to.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/kernel_types.h"
#include "kernels/x86_64/stream.h"

namespace midge::avx2 {

/// 32 aligned bytes of a weight stream. `asm volatile`, because g++ 12 otherwise loads them once
/// per use.
static inline __m256i load_stream(const void* bytes) {
  __m256i value;
  asm volatile("vmovdqa %1, %0" : "=x"(value) : "m"(*static_cast<const char(*)[32]>(bytes)));
  return value;
}

/// Follows the additions to two sums. No instruction, but an order: 16 registers hold neither the
/// products whose addition the compilers would put off, nor the lines and activations that they
/// would load ahead.
static inline void settle(__m256i& low, __m256i& high) {
  asm volatile("" : "+x"(low), "+x"(high) : : "memory");
}

/// 4 bytes of activations in every lane.
static inline __m256i broadcast_group(const int8_t* values) {
  int32_t group;
  std::memcpy(&group, values, sizeof(group));
  return _mm256_set1_epi32(group);
}

/// 8 f16 as f32.
static inline __m256 load_f16(const uint16_t* values) {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(values)));
}

/// Adjacent pairs of int16 as int32.
static inline __m256i add_pairs(__m256i values) {
  return _mm256_madd_epi16(values, _mm256_set1_epi16(1));
}

/// weights . values over the 4 columns of each row, both signed: |weights| * (values with the signs
/// of the weights). The pairs of maddubs, at most 2 * 128 * 127, fit 16 bits.
static inline __m256i dot_signed(__m256i weights, __m256i magnitudes, __m256i values) {
  return add_pairs(_mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(values, weights)));
}

/// sum + integer * (weight_scales * scale): a block of the decode arithmetic, a super-block of the
/// prefill arithmetic.
static inline __m256 add_block(__m256 sum, __m256i integer, __m256 weight_scales, __m256 scale) {
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(integer), _mm256_mul_ps(weight_scales, scale), sum);
}

}  // namespace midge::avx2
