// The vectors of the AVX2 attention kernels, see attn_vectors.h.
#pragma once

#include <immintrin.h>

#include "kernels/attn_vectors.h"

namespace midge {
namespace {

struct CacheF16 {
  static constexpr int kCacheBytes = 2;
  template <int kCount>
  static inline void load_cache(const uint8_t* p, __m256* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i));
    }
  }
  static inline float load_element(const uint8_t* p) {
    return _cvtsh_ss(*reinterpret_cast<const uint16_t*>(p));
  }
};

struct CacheF32 {
  static constexpr int kCacheBytes = 4;
  template <int kCount>
  static inline void load_cache(const uint8_t* p, __m256* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(p) + i * 8);
    }
  }
  static inline float load_element(const uint8_t* p) { return *reinterpret_cast<const float*>(p); }
};

template <typename Cache>
struct AttentionVectors : Cache {
  using V = __m256;
  using Factors = __m256;
  static constexpr int kWidth = 8;
  // A tile of 6 x 2 keeps 12 sums, 2 vectors and a factor in the 16 registers: 12 multiply-adds for
  // 8 loads, where a core does two of each in a cycle.
  static constexpr int kSet = 6;
  static constexpr int kFactors = 1;
  static constexpr bool kPrefetch = true;
  static constexpr int tile_vectors(int queries) { return queries <= 2 ? 4 : 2; }

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
};

}  // namespace
}  // namespace midge
