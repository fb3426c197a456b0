// f32 to f16 by fcvtn, which rounds to nearest even; a NaN becomes the one of f32_to_f16 in
// kernels/half.h. Per 32 numbers 23 instructions, of which 8 fcvtn. Bound by the SIMD pipes.
#include <arm_neon.h>

#include "kernels/kernel_types.h"

namespace midge {
namespace {

// As unsigned numbers the negative NaNs of f16 are those above 0xFE00, and nothing else is that
// large; as signed numbers the positive ones are those above 0x7E00.
inline uint16x8_t to_f16(float32x4_t low, float32x4_t high) {
  const uint16x8_t halves = vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
  const uint16x8_t clamped = vminq_u16(halves, vdupq_n_u16(0xFE00));
  return vreinterpretq_u16_s16(vminq_s16(vreinterpretq_s16_u16(clamped), vdupq_n_s16(0x7E00)));
}

}  // namespace

extern "C" void convert_f16_f32_neon(const ConvertArgs* args) {
  const int64_t n = args->n;
  const float* in = args->in;
  auto* out = static_cast<uint16_t*>(args->out);
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const float32x4x4_t a = vld1q_f32_x4(in + i);
    const float32x4x4_t b = vld1q_f32_x4(in + i + 16);
    const uint16x8x4_t halves = {to_f16(a.val[0], a.val[1]), to_f16(a.val[2], a.val[3]),
                                 to_f16(b.val[0], b.val[1]), to_f16(b.val[2], b.val[3])};
    vst1q_u16_x4(out + i, halves);
  }
  for (; i + 8 <= n; i += 8) {
    vst1q_u16(out + i, to_f16(vld1q_f32(in + i), vld1q_f32(in + i + 4)));
  }
  for (; i < n; ++i) {
    const float32x4_t value = vdupq_n_f32(in[i]);
    out[i] = vgetq_lane_u16(to_f16(value, value), 0);
  }
}

}  // namespace midge
