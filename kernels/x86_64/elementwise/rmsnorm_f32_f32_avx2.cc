// out = in / sqrt(mean(in^2) + epsilon) * weight. The sum of squares runs in the sixteen sums of
// kernels/generic/dot.h, which are two registers, and is joined in the same tree.
#include <immintrin.h>

#include "kernels/kernel_types.h"

namespace midge {
namespace {

// The first `count` of eight lanes.
__m256i lane_mask(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

__m256 add_square(__m256 sum, __m256 x) { return _mm256_add_ps(sum, _mm256_mul_ps(x, x)); }

// Lanes beyond n add +0, which changes no sum of squares.
float sum_of_squares(const float* in, int64_t n) {
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    low = add_square(low, _mm256_loadu_ps(in + i));
    high = add_square(high, _mm256_loadu_ps(in + i + 8));
  }
  if (i < n) low = add_square(low, _mm256_maskload_ps(in + i, lane_mask(n - i)));
  if (i + 8 < n) high = add_square(high, _mm256_maskload_ps(in + i + 8, lane_mask(n - i - 8)));
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

__m256 normalise(__m256 x, __m256 scale, __m256 weight) {
  return _mm256_mul_ps(_mm256_mul_ps(x, scale), weight);
}

}  // namespace

extern "C" void rmsnorm_f32_f32_avx2(const RmsnormArgs* args) {
  const int64_t n = args->n;
  for (int64_t row = 0; row < args->m; ++row) {
    const auto* in = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->in) +
                                                    row * args->in_stride);
    auto* out =
        reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + row * args->out_stride);
    const float mean = sum_of_squares(in, n) / static_cast<float>(n);
    const __m256 scale = _mm256_set1_ps(1.0f / __builtin_sqrtf(mean + args->epsilon));
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      _mm256_storeu_ps(
          out + i, normalise(_mm256_loadu_ps(in + i), scale, _mm256_loadu_ps(args->weight + i)));
    }
    if (i < n) {
      const __m256i mask = lane_mask(n - i);
      _mm256_maskstore_ps(out + i, mask,
                          normalise(_mm256_maskload_ps(in + i, mask), scale,
                                    _mm256_maskload_ps(args->weight + i, mask)));
    }
  }
}

}  // namespace midge
