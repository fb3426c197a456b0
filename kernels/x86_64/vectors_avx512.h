// Vectors of AVX-512, see kernels/vector_math.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace midge {
namespace {

struct Avx512Vectors {
  using V = __m512;
  using Factors = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kFactors = 1;

  static inline V load(const float* p) { return _mm512_loadu_ps(p); }
  static inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static inline V broadcast(float x) { return _mm512_set1_ps(x); }
  static inline V add(V a, V b) { return _mm512_add_ps(a, b); }
  static inline V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static inline V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static inline V highest(V a, V b) { return _mm512_max_ps(a, b); }
  static inline float highest_lane(V v) { return _mm512_reduce_max_ps(v); }

  static inline V div(V a, V b) { return _mm512_div_ps(a, b); }
  static inline V negate(V v) { return _mm512_xor_ps(v, broadcast(-0.0f)); }
  /// With a NaN, max and min give their second operand: NaN stays.
  static inline V within(V v, float low, float high) {
    return _mm512_min_ps(broadcast(high), _mm512_max_ps(broadcast(low), v));
  }
  /// `count` numbers, fewer than a vector has.
  static inline V load_first(const float* p, int64_t count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), p);
  }
  static inline void store_first(float* p, int64_t count, V v) {
    _mm512_mask_storeu_ps(p, first_lanes(count), v);
  }
  static inline __mmask16 first_lanes(int64_t count) {
    return static_cast<__mmask16>((1u << count) - 1);
  }

  static inline Factors load_factor(const float* p) { return _mm512_set1_ps(*p); }
  template <int i>
  static inline V multiply_add(V v, Factors factor, V sum) {
    return _mm512_fmadd_ps(v, factor, sum);
  }

  static inline V at_least(V v, float x) { return _mm512_max_ps(broadcast(x), v); }
  static inline V power_of_two(V v) {
    const __m512i biased = _mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
  }
  static inline V keep_from(V x, V v, float limit) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, broadcast(limit), _CMP_NLT_UQ), v);
  }

  template <int kCount>
  static inline void load_f16(const uint8_t* p, __m512* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + i));
    }
  }
  template <int kCount>
  static inline void load_s8(const uint8_t* p, __m512* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i);
      v[i] = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
    }
  }
  template <int kCount>
  static inline void load_nibbles(const uint8_t* p, int shift, __m512* v) {
    static_assert(kCount == 1);
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i low =
        _mm_and_si128(_mm_srl_epi16(pairs, _mm_cvtsi32_si128(shift)), _mm_set1_epi8(15));
    const __m512 values = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
    v[0] = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(low), values);
  }
  static inline float element_f16(const uint8_t* p) {
    return _cvtsh_ss(*reinterpret_cast<const uint16_t*>(p));
  }
};

}  // namespace
}  // namespace midge
