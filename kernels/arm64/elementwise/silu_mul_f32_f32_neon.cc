// out = gate / (1 + exp(-gate)) * up, eight at a time, with the bits of exp_f32 in
// kernels/exp_f32.h, which has the derivation of its constants. What it does for the ends
// of the range is left out where the quotient does not show it:
//   - x = -gate is kept above -80 instead of -88, and small results are not made zero: 1 + exp(x)
//     is 1 below -17.4.
//   - 2^n goes in two factors 2^(n - 1) and 2, as n is -115 at least. Adding up overflows to
//     infinity where exp_f32 selects it (tests/kernels/exp_test.cc).
//   - A NaN is what the division makes of gate.
// Negated operands give negated results, so gate need not be negated: r is that of exp_f32 with the
// other sign, and its products are subtracted.
//
// Per 8 numbers 67 instructions, of which two divisions. Bound by the SIMD pipes; in-order cores
// wait for each step of the polynomial, two vectors at a time halve that.
#include <arm_neon.h>

#include "kernels/kernel_types.h"

namespace midge {
namespace {

inline float32x4_t silu_mul(float32x4_t gate, float32x4_t up) {
  // 126 more than in exp_f32 leaves the exponent field of 2^(n - 1) in the low bits.
  const float32x4_t round = vdupq_n_f32(0x1.8p23f + 126.0f);
  const float32x4_t clamped = vminq_f32(vmaxq_f32(gate, vdupq_n_f32(-89.0f)), vdupq_n_f32(80.0f));
  const float32x4_t shifted = vaddq_f32(vmulq_f32(clamped, vdupq_n_f32(-0x1.715476p+0f)), round);
  const float32x4_t n = vsubq_f32(shifted, round);
  const float32x4_t r = vaddq_f32(vaddq_f32(clamped, vmulq_f32(n, vdupq_n_f32(0x1.62e4p-1f))),
                                  vmulq_f32(n, vdupq_n_f32(0x1.7f7d1cp-20f)));
  float32x4_t p = vdupq_n_f32(1.0f / 5040.0f);
  p = vsubq_f32(vdupq_n_f32(1.0f / 720.0f), vmulq_f32(p, r));
  p = vsubq_f32(vdupq_n_f32(1.0f / 120.0f), vmulq_f32(p, r));
  p = vsubq_f32(vdupq_n_f32(1.0f / 24.0f), vmulq_f32(p, r));
  p = vsubq_f32(vdupq_n_f32(1.0f / 6.0f), vmulq_f32(p, r));
  p = vsubq_f32(vdupq_n_f32(0.5f), vmulq_f32(p, r));
  p = vsubq_f32(vmulq_f32(p, vmulq_f32(r, r)), r);
  p = vaddq_f32(p, vdupq_n_f32(1.0f));
  const float32x4_t half_scale =
      vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23));
  const float32x4_t half = vmulq_f32(p, half_scale);
  const float32x4_t denominator = vaddq_f32(vdupq_n_f32(1.0f), vaddq_f32(half, half));
  return vmulq_f32(vdivq_f32(gate, denominator), up);
}

}  // namespace

extern "C" void silu_mul_f32_f32_neon(const SiluMulArgs* args) {
  const int64_t n = args->n;
  const float* gate = args->gate;
  const float* up = args->up;
  float* out = args->out;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const float32x4_t first = silu_mul(vld1q_f32(gate + i), vld1q_f32(up + i));
    const float32x4_t second = silu_mul(vld1q_f32(gate + i + 4), vld1q_f32(up + i + 4));
    vst1q_f32(out + i, first);
    vst1q_f32(out + i + 4, second);
  }
  for (; i < n; ++i) {
    const float32x4_t result = silu_mul(vdupq_n_f32(gate[i]), vdupq_n_f32(up[i]));
    out[i] = vgetq_lane_f32(result, 0);
  }
}

}  // namespace midge
