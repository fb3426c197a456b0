// f32 to f16 by fcvtn, which rounds to nearest even; a NaN becomes the one of f32_to_f16 in
// kernels/half.h. Bound by the SIMD pipes.
#include <arm_neon.h>

#include "kernels/kernels.h"

namespace midge {
namespace {

inline uint16x4_t to_f16(float32x4_t values) {
  const uint16x4_t halves = vreinterpret_u16_f16(vcvt_f16_f32(values));
  const uint16x4_t is_number = vmovn_u32(vceqq_f32(values, values));
  const uint16x4_t sign = vand_u16(halves, vdup_n_u16(0x8000));
  return vbsl_u16(is_number, halves, vorr_u16(sign, vdup_n_u16(0x7E00)));
}

}  // namespace

void convert_f16_f32_neon(const ConvertArgs* args) {
  auto* out = static_cast<uint16_t*>(args->out);
  int64_t i = 0;
  for (; i + 4 <= args->n; i += 4) vst1_u16(out + i, to_f16(vld1q_f32(args->in + i)));
  for (; i < args->n; ++i) out[i] = vget_lane_u16(to_f16(vdupq_n_f32(args->in[i])), 0);
}

}  // namespace midge
