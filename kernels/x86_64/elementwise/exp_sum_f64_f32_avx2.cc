// Sums of exp(x - maximum) by blocks of 64, eight numbers at a time.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/elementwise/exp_sum.h"
#include "kernels/x86_64/vectors_avx2.h"

namespace midge {
namespace {

struct SumVectors : Avx2Vectors {
  struct Lanes {
    __m256d low, high;
  };
  static inline Lanes no_lanes() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static inline void add_lanes(V v, Lanes* lanes) {
    lanes->low = _mm256_add_pd(lanes->low, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    lanes->high = _mm256_add_pd(lanes->high, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
  }
  static inline double total(const Lanes& lanes) {
    const __m256d four = _mm256_add_pd(lanes.low, lanes.high);
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }
};

}  // namespace

extern "C" void exp_sum_f64_f32_avx2(const ExpSumArgs* args) { vectors::exp_sum<SumVectors>(args); }

}  // namespace midge
