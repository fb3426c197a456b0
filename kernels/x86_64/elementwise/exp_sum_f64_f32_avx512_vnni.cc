// Sums of exp(x - maximum) by blocks of 64, sixteen numbers at a time.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/elementwise/exp_sum.h"
#include "kernels/x86_64/vectors_avx512.h"

namespace midge {
namespace {

struct SumVectors : Avx512Vectors {
  using Lanes = __m512d;
  static inline Lanes no_lanes() { return _mm512_setzero_pd(); }
  static inline void add_lanes(V v, Lanes* lanes) {
    *lanes = _mm512_add_pd(*lanes, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    *lanes = _mm512_add_pd(*lanes, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
  }
  static inline double total(Lanes lanes) {
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(lanes), _mm512_extractf64x4_pd(lanes, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }
};

}  // namespace

extern "C" void exp_sum_f64_f32_avx512_vnni(const ExpSumArgs* args) {
  vectors::exp_sum<SumVectors>(args);
}

}  // namespace midge
