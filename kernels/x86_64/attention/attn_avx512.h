// The vectors of the AVX-512 attention kernels, see attn_vectors.h.
#pragma once

#include <immintrin.h>

#include "kernels/attn_vectors.h"

namespace midge {
namespace {

struct CacheF16 {
  static constexpr int kCacheBytes = 2;
  template <int kCount>
  static inline void load_cache(const uint8_t* p, __m512* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p) + i));
    }
  }
  static inline float load_element(const uint8_t* p) {
    return _cvtsh_ss(*reinterpret_cast<const uint16_t*>(p));
  }
};

struct CacheF32 {
  static constexpr int kCacheBytes = 4;
  template <int kCount>
  static inline void load_cache(const uint8_t* p, __m512* v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      v[i] = _mm512_loadu_ps(reinterpret_cast<const float*>(p) + i * 16);
    }
  }
  static inline float load_element(const uint8_t* p) { return *reinterpret_cast<const float*>(p); }
};

template <typename Cache>
struct AttentionVectors : Cache {
  using V = __m512;
  using Factors = __m512;
  static constexpr int kWidth = 16;
  // A tile of 6 x 4 keeps 24 sums, 4 vectors and a factor in the 32 registers: 24 multiply-adds for
  // 10 loads.
  static constexpr int kSet = 6;
  static constexpr int kFactors = 1;
  static constexpr bool kPrefetch = true;
  static constexpr int tile_vectors(int queries) { return queries <= 6 ? 4 : 2; }

  static inline V load(const float* p) { return _mm512_loadu_ps(p); }
  static inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
  static inline V broadcast(float x) { return _mm512_set1_ps(x); }
  static inline V add(V a, V b) { return _mm512_add_ps(a, b); }
  static inline V sub(V a, V b) { return _mm512_sub_ps(a, b); }
  static inline V mul(V a, V b) { return _mm512_mul_ps(a, b); }
  static inline V highest(V a, V b) { return _mm512_max_ps(a, b); }
  static inline float highest_lane(V v) { return _mm512_reduce_max_ps(v); }

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
};

}  // namespace
}  // namespace midge
