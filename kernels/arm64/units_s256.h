// How the kernels of this architecture read the scales of q4b32ms256 and q5b32ms256.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/packed.h"

namespace midge::arm64 {

/// The 6-bit scales and minimums of a unit as bytes, [block][row].
struct SubScales {
  int8_t scales[8][kTileRows];
  int8_t minimums[8][kTileRows];
};

static inline void read_sub_scales(const uint8_t (*packed)[8][16], SubScales* out) {
  const uint8x16_t six_bits = vdupq_n_u8(63);
  for (int b = 0; b < 8; ++b) {
    const uint8x16_t first = vld1q_u8(packed[0][b]);
    const uint8x16_t second = vld1q_u8(packed[1][b]);
    const uint8x16_t third = vld1q_u8(packed[2][b]);
    // The upper two bits of each, those of the third on top.
    const uint8x16_t top = vsriq_n_u8(vsriq_n_u8(vshrq_n_u8(third, 2), second, 4), first, 6);
    vst1q_s8(out->scales[b], vreinterpretq_s8_u8(vandq_u8(first, six_bits)));
    vst1q_s8(out->scales[b] + 16, vreinterpretq_s8_u8(vandq_u8(second, six_bits)));
    vst1q_s8(out->minimums[b], vreinterpretq_s8_u8(vandq_u8(third, six_bits)));
    vst1q_s8(out->minimums[b] + 16, vreinterpretq_s8_u8(top));
  }
}

}  // namespace midge::arm64
