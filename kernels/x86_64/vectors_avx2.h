// Vectors of AVX2, see kernels/vector_math.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace midge {
namespace {

struct Avx2Vectors {
  using V = __m256;
  using Factors = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kFactors = 1;

  static inline V load(const float* p) { return _mm256_loadu_ps(p); }
  static inline void store(float* p, V v) { _mm256_storeu_ps(p, v); }
  static inline V broadcast(float x) { return _mm256_set1_ps(x); }
  static inline V add(V a, V b) { return _mm256_add_ps(a, b); }
  static inline V sub(V a, V b) { return _mm256_sub_ps(a, b); }
  static inline V mul(V a, V b) { return _mm256_mul_ps(a, b); }
  static inline V highest(V a, V b) { return _mm256_max_ps(a, b); }
  static inline float highest_lane(V v) {
    __m128 lanes = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    lanes = _mm_max_ps(lanes, _mm_movehl_ps(lanes, lanes));
    return _mm_cvtss_f32(_mm_max_ss(lanes, _mm_movehdup_ps(lanes)));
  }

  static inline V div(V a, V b) { return _mm256_div_ps(a, b); }
  static inline V negate(V v) { return _mm256_xor_ps(v, broadcast(-0.0f)); }
  /// With a NaN, max and min give their second operand: NaN stays.
  static inline V within(V v, float low, float high) {
    return _mm256_min_ps(broadcast(high), _mm256_max_ps(broadcast(low), v));
  }
  /// `count` numbers, fewer than a vector has.
  static inline V load_first(const float* p, int64_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
  }
  static inline void store_first(float* p, int64_t count, V v) {
    _mm256_maskstore_ps(p, first_lanes(count), v);
  }
  static inline __m256i first_lanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  static inline Factors load_factor(const float* p) { return _mm256_set1_ps(*p); }
  template <int i>
  static inline V multiply_add(V v, Factors factor, V sum) {
    return _mm256_fmadd_ps(v, factor, sum);
  }

  static inline V at_least(V v, float x) { return _mm256_max_ps(broadcast(x), v); }
  static inline V power_of_two(V v) {
    const __m256i biased = _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
  }
  static inline V keep_from(V x, V v, float limit) {
    return _mm256_and_ps(_mm256_cmp_ps(x, broadcast(limit), _CMP_NLT_UQ), v);
  }

  template <int kCount>
  static inline void load_f16(const uint8_t* p, __m256* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i));
    }
  }
  template <int kCount>
  static inline void load_s8(const uint8_t* p, __m256* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * i));
      v[i] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    }
  }
  template <int kCount>
  static inline void load_nibbles(const uint8_t* p, int shift, __m256* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * i));
      const __m128i low =
          _mm_and_si128(_mm_srl_epi16(pairs, _mm_cvtsi32_si128(shift)), _mm_set1_epi8(15));
      v[i] = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_sub_epi8(low, _mm_set1_epi8(8))));
    }
  }
  static inline float element_f16(const uint8_t* p) {
    return _cvtsh_ss(*reinterpret_cast<const uint16_t*>(p));
  }
};

}  // namespace
}  // namespace midge
