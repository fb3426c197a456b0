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
};

}  // namespace
}  // namespace midge
