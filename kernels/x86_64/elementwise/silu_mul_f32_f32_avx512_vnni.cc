// out = gate / (1 + exp(-gate)) * up, sixteen at a time. kernels/exp_f32.h has the
// derivation of every constant; the operations here are the same ones in the same order, so the
// bits are too. What is left out changes none: numbers below the range of exp, and their limit 0,
// vanish beside the 1; vscalefps rounds 2^n * p once, as two factors do, and overflows to infinity
// where the limit is (tests/kernels/exp_test.cc tries every number there); a NaN passes through.
// Bound by the vector ports: about 30 operations and a division per 16 numbers.
#include <immintrin.h>

#include "kernels/kernels.h"

namespace midge {
namespace {

// exp(x), or less than 2^-126 instead of 0.
__m512 exp_f32x16(__m512 x) {
  const __m512 round = _mm512_set1_ps(0x1.8p23f);
  // With a NaN, max and min give their second operand.
  const __m512 clamped =
      _mm512_min_ps(_mm512_set1_ps(89.0f), _mm512_max_ps(_mm512_set1_ps(-88.0f), x));
  const __m512 shifted =
      _mm512_add_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(0x1.715476p+0f)), round);
  const __m512 n = _mm512_sub_ps(shifted, round);
  const __m512 r =
      _mm512_sub_ps(_mm512_sub_ps(clamped, _mm512_mul_ps(n, _mm512_set1_ps(0x1.62e4p-1f))),
                    _mm512_mul_ps(n, _mm512_set1_ps(0x1.7f7d1cp-20f)));
  __m512 p = _mm512_set1_ps(1.0f / 5040.0f);
  p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 720.0f));
  p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 120.0f));
  p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 24.0f));
  p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(1.0f / 6.0f));
  p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(0.5f));
  p = _mm512_add_ps(_mm512_mul_ps(p, _mm512_mul_ps(r, r)), r);
  p = _mm512_add_ps(p, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

__m512 silu_mul(__m512 gate, __m512 up) {
  const __m512 negated = _mm512_xor_ps(gate, _mm512_set1_ps(-0.0f));
  const __m512 divisor = _mm512_add_ps(_mm512_set1_ps(1.0f), exp_f32x16(negated));
  return _mm512_mul_ps(_mm512_div_ps(gate, divisor), up);
}

}  // namespace

void silu_mul_f32_f32_avx512_vnni(const SiluMulArgs* args) {
  int64_t i = 0;
  for (; i + 16 <= args->n; i += 16) {
    _mm512_storeu_ps(args->out + i,
                     silu_mul(_mm512_loadu_ps(args->gate + i), _mm512_loadu_ps(args->up + i)));
  }
  if (i == args->n) return;
  const auto mask = static_cast<__mmask16>((1u << (args->n - i)) - 1);
  _mm512_mask_storeu_ps(args->out + i, mask,
                        silu_mul(_mm512_maskz_loadu_ps(mask, args->gate + i),
                                 _mm512_maskz_loadu_ps(mask, args->up + i)));
}

}  // namespace midge
