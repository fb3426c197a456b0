// Sums of int8 products of keys and queries, see kernels/attn_vectors.h. Magnitudes are at most
// 127, so that two products fit into 16 bits.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace midge {
namespace {

struct Avx2KeySums {
  using Sums = __m256i;
  struct KeyVector {
    __m256i values;
    __m256i magnitudes;
  };
  using QueryVector = __m256i;
  static constexpr int kQueryGroups = 1;

  static inline Sums first_sum(int32_t) { return _mm256_setzero_si256(); }
  static inline KeyVector load_keys(const uint8_t* p) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {values, _mm256_abs_epi8(values)};
  }
  static inline QueryVector load_group(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof(four));
    return _mm256_set1_epi32(four);
  }
  template <int i>
  static inline Sums dot(Sums sums, KeyVector keys, QueryVector query) {
    const __m256i pairs =
        _mm256_maddubs_epi16(keys.magnitudes, _mm256_sign_epi8(query, keys.values));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static inline __m256 to_float(Sums sums) { return _mm256_cvtepi32_ps(sums); }

  using ValueSums = __m256i;
  using PairVector = __m256i;
  using WeightVector = __m256i;
  static constexpr int kWeightPairs = 1;
  static inline ValueSums no_values() { return _mm256_setzero_si256(); }
  template <int kCount>
  static inline void load_pairs(const uint8_t* p, PairVector* pairs) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      pairs[i] =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i)));
    }
  }
  static inline WeightVector load_pair(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return _mm256_set1_epi32(two);
  }
  template <int i>
  static inline ValueSums add_pair(ValueSums sums, PairVector pairs, WeightVector weights) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, weights));
  }
  static inline __m256 values_to_float(ValueSums sums) { return _mm256_cvtepi32_ps(sums); }
  static inline void store_units(int16_t* p, __m256 v) {
    const __m256i units = _mm256_cvtps_epi32(v);
    const __m256i packed = _mm256_packs_epi32(units, units);  // within 128 bits
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
  }
};

}  // namespace
}  // namespace midge
