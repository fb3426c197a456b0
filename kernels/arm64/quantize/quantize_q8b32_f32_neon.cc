// out[k] = in[k] as LhsBlocks of 32. kernels/generic/quantize.h is the specification.
//
// Four blocks at a time, so that their scales are the lanes of one register and a division serves
// all of them. The rest of a row is filled up with zeros in a buffer. Bound by the SIMD pipes.
#include "kernels/arm64/quantize/quantize.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

constexpr int64_t kColumnsAtOnce = 128;  // four blocks

/// The values of a block; returns 8 partial sums of them.
inline int16x8_t quantize_block(const float* in, float32x4_t inverse, LhsBlock* out) {
  const int8x16_t low = arm64::quantize_16(in, inverse);
  const int8x16_t high = arm64::quantize_16(in + 16, inverse);
  vst1q_s8(out->values, low);
  vst1q_s8(out->values + 16, high);
  return vpadalq_s8(vpaddlq_s8(low), high);
}

/// in[kColumnsAtOnce] -> out[4]
inline void quantize_four(const float* in, LhsBlock* out) {
  const uint32x4_t max =
      vpmaxq_u32(vpmaxq_u32(arm64::max_magnitudes(in), arm64::max_magnitudes(in + 32)),
                 vpmaxq_u32(arm64::max_magnitudes(in + 64), arm64::max_magnitudes(in + 96)));
  const arm64::QuantizeScales s = arm64::quantize_scales(max);
  const int16x8_t sum0 = quantize_block(in, vdupq_laneq_f32(s.inverse, 0), out);
  const int16x8_t sum1 = quantize_block(in + 32, vdupq_laneq_f32(s.inverse, 1), out + 1);
  const int16x8_t sum2 = quantize_block(in + 64, vdupq_laneq_f32(s.inverse, 2), out + 2);
  const int16x8_t sum3 = quantize_block(in + 96, vdupq_laneq_f32(s.inverse, 3), out + 3);
  const int32x4_t sums = vpaddlq_s16(vpaddq_s16(vpaddq_s16(sum0, sum1), vpaddq_s16(sum2, sum3)));
  const int32x4_t corrections = vmulq_n_s32(sums, -8);
  const int32x4_t scales = vreinterpretq_s32_f32(s.scale);
  const int32x4_t low = vzip1q_s32(scales, corrections);
  const int32x4_t high = vzip2q_s32(scales, corrections);
  auto* heads = reinterpret_cast<int8_t*>(out);
  vst1_s8(heads, vreinterpret_s8_s32(vget_low_s32(low)));
  vst1_s8(heads + sizeof(LhsBlock), vreinterpret_s8_s32(vget_high_s32(low)));
  vst1_s8(heads + 2 * sizeof(LhsBlock), vreinterpret_s8_s32(vget_low_s32(high)));
  vst1_s8(heads + 3 * sizeof(LhsBlock), vreinterpret_s8_s32(vget_high_s32(high)));
}

}  // namespace

extern "C" void quantize_q8b32_f32_neon(const QuantizeArgs* args) {
  const float* in = args->in;
  LhsBlock* out = args->out;
  int64_t left = args->k;
  for (; left >= kColumnsAtOnce; left -= kColumnsAtOnce) {
    quantize_four(in, out);
    in += kColumnsAtOnce;
    out += 4;
  }
  for (const LhsBlock* end = args->out + lhs_blocks(args->k); out != end; out += 4) {
    float padded[kColumnsAtOnce];
    arm64::copy_padded(in, left, padded, kColumnsAtOnce);
    quantize_four(padded, out);
    left = 0;
  }
}

}  // namespace midge
