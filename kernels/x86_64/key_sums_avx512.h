// Sums of int8 products of keys and queries by VNNI, see kernels/attn_vectors.h. It multiplies
// unsigned bytes with signed ones: the keys are taken as key + 128.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace midge {
namespace {

struct Avx512KeySums {
  using Sums = __m512i;
  using KeyVector = __m512i;
  using QueryVector = __m512i;
  static constexpr int kQueryGroups = 1;

  static inline Sums first_sum(int32_t query_sum) { return _mm512_set1_epi32(-128 * query_sum); }
  static inline KeyVector load_keys(const uint8_t* p) {
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
  }
  static inline QueryVector load_group(const int8_t* p) {
    int32_t four;
    std::memcpy(&four, p, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  template <int i>
  static inline Sums dot(Sums sums, KeyVector keys, QueryVector query) {
    return _mm512_dpbusd_epi32(sums, keys, query);
  }
  static inline __m512 to_float(Sums sums) { return _mm512_cvtepi32_ps(sums); }

  using ValueSums = __m512i;
  using PairVector = __m512i;
  using WeightVector = __m512i;
  static constexpr int kWeightPairs = 1;
  static inline ValueSums no_values() { return _mm512_setzero_si512(); }
  template <int kCount>
  static inline void load_pairs(const uint8_t* p, PairVector* pairs) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      pairs[i] =
          _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32 * i)));
    }
  }
  static inline WeightVector load_pair(const int16_t* p) {
    int32_t two;
    std::memcpy(&two, p, sizeof(two));
    return _mm512_set1_epi32(two);
  }
  template <int i>
  static inline ValueSums add_pair(ValueSums sums, PairVector pairs, WeightVector weights) {
    return _mm512_dpwssd_epi32(sums, pairs, weights);
  }
  static inline __m512 values_to_float(ValueSums sums) { return _mm512_cvtepi32_ps(sums); }
  static inline void store_units(int16_t* p, __m512 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
  }
};

}  // namespace
}  // namespace midge
