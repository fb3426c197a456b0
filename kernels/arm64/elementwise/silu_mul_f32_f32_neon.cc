// out = gate / (1 + exp(-gate)) * up, four at a time. kernels/generic/exp_f32.h has the derivation
// of every constant; the operations here are the same ones in the same order, so the bits are too.
// Bound by the SIMD pipes; in-order cores wait for each step of the polynomial.
#include <arm_neon.h>

#include "kernels/kernels.h"

namespace midge {
namespace {

inline float32x4_t exp_f32x4(float32x4_t x) {
  const float32x4_t round = vdupq_n_f32(0x1.8p23f);
  // fmax and fmin keep a NaN, for which the last selection is meant.
  const float32x4_t clamped = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-88.0f)), vdupq_n_f32(89.0f));
  const float32x4_t shifted = vaddq_f32(vmulq_n_f32(clamped, 0x1.715476p+0f), round);
  const float32x4_t n = vsubq_f32(shifted, round);
  const float32x4_t r =
      vsubq_f32(vsubq_f32(clamped, vmulq_n_f32(n, 0x1.62e4p-1f)), vmulq_n_f32(n, 0x1.7f7d1cp-20f));
  float32x4_t p = vdupq_n_f32(1.0f / 5040.0f);
  p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.0f / 720.0f));
  p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.0f / 120.0f));
  p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.0f / 24.0f));
  p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(1.0f / 6.0f));
  p = vaddq_f32(vmulq_f32(p, r), vdupq_n_f32(0.5f));
  p = vaddq_f32(vmulq_f32(p, vmulq_f32(r, r)), r);
  p = vaddq_f32(p, vdupq_n_f32(1.0f));
  const int32x4_t exponent =
      vsubq_s32(vreinterpretq_s32_f32(shifted), vreinterpretq_s32_f32(round));
  const int32x4_t half = vshrq_n_s32(exponent, 1);
  const int32x4_t bias = vdupq_n_s32(127);
  const float32x4_t scale_a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  const float32x4_t scale_b =
      vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(exponent, half), bias), 23));
  float32x4_t result = vmulq_f32(vmulq_f32(p, scale_a), scale_b);
  const uint32x4_t is_small = vcltq_f32(x, vdupq_n_f32(-87.33654f));
  const uint32x4_t is_large = vcgtq_f32(x, vdupq_n_f32(88.72283f));
  result = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(result), is_small));
  result = vbslq_f32(is_large, vdupq_n_f32(__builtin_inff()), result);
  return vbslq_f32(vceqq_f32(x, x), result, x);
}

inline float32x4_t silu_mul(float32x4_t gate, float32x4_t up) {
  const float32x4_t denominator = vaddq_f32(vdupq_n_f32(1.0f), exp_f32x4(vnegq_f32(gate)));
  return vmulq_f32(vdivq_f32(gate, denominator), up);
}

}  // namespace

void silu_mul_f32_f32_neon(const SiluMulArgs* args) {
  int64_t i = 0;
  for (; i + 4 <= args->n; i += 4) {
    vst1q_f32(args->out + i, silu_mul(vld1q_f32(args->gate + i), vld1q_f32(args->up + i)));
  }
  for (; i < args->n; ++i) {
    const float32x4_t result = silu_mul(vdupq_n_f32(args->gate[i]), vdupq_n_f32(args->up[i]));
    args->out[i] = vgetq_lane_f32(result, 0);
  }
}

}  // namespace midge
