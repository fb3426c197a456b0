// out = gate / (1 + exp(-gate)) * up, eight at a time. kernels/exp_f32.h has the derivation
// of every constant; the operations here are the same ones in the same order, so the bits are too.
#include <immintrin.h>

#include "kernels/kernels.h"

namespace midge {
namespace {

__m256 exp_f32x8(__m256 x) {
  const __m256 round = _mm256_set1_ps(0x1.8p23f);
  // With a NaN, max and min give their second operand: the NaN, for which the last selection is
  // meant.
  const __m256 clamped =
      _mm256_min_ps(_mm256_set1_ps(89.0f), _mm256_max_ps(_mm256_set1_ps(-88.0f), x));
  const __m256 shifted =
      _mm256_add_ps(_mm256_mul_ps(clamped, _mm256_set1_ps(0x1.715476p+0f)), round);
  const __m256 n = _mm256_sub_ps(shifted, round);
  const __m256 r =
      _mm256_sub_ps(_mm256_sub_ps(clamped, _mm256_mul_ps(n, _mm256_set1_ps(0x1.62e4p-1f))),
                    _mm256_mul_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f)));
  __m256 p = _mm256_set1_ps(1.0f / 5040.0f);
  p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 720.0f));
  p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 120.0f));
  p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 24.0f));
  p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(1.0f / 6.0f));
  p = _mm256_add_ps(_mm256_mul_ps(p, r), _mm256_set1_ps(0.5f));
  p = _mm256_add_ps(_mm256_mul_ps(p, _mm256_mul_ps(r, r)), r);
  p = _mm256_add_ps(p, _mm256_set1_ps(1.0f));
  const __m256i exponent =
      _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(round));
  const __m256i half = _mm256_srai_epi32(exponent, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 scale_a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 scale_b = _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(exponent, half), bias), 23));
  const __m256 result = _mm256_mul_ps(_mm256_mul_ps(p, scale_a), scale_b);
  const __m256 is_small = _mm256_cmp_ps(x, _mm256_set1_ps(-87.33654f), _CMP_LT_OQ);
  const __m256 is_large = _mm256_cmp_ps(x, _mm256_set1_ps(88.72283f), _CMP_GT_OQ);
  const __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256 finite = _mm256_andnot_ps(is_small, result);
  return _mm256_blendv_ps(_mm256_blendv_ps(finite, _mm256_set1_ps(__builtin_inff()), is_large), x,
                          is_nan);
}

__m256 silu_mul(__m256 gate, __m256 up) {
  const __m256 negated = _mm256_xor_ps(gate, _mm256_set1_ps(-0.0f));
  const __m256 divisor = _mm256_add_ps(_mm256_set1_ps(1.0f), exp_f32x8(negated));
  return _mm256_mul_ps(_mm256_div_ps(gate, divisor), up);
}

}  // namespace

void silu_mul_f32_f32_avx2(const SiluMulArgs* args) {
  int64_t i = 0;
  for (; i + 8 <= args->n; i += 8) {
    _mm256_storeu_ps(args->out + i,
                     silu_mul(_mm256_loadu_ps(args->gate + i), _mm256_loadu_ps(args->up + i)));
  }
  if (i == args->n) return;
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(args->n - i)), lanes);
  _mm256_maskstore_ps(
      args->out + i, mask,
      silu_mul(_mm256_maskload_ps(args->gate + i, mask), _mm256_maskload_ps(args->up + i, mask)));
}

}  // namespace midge
