#include "engine/weights/encode.h"

#include <algorithm>
#include <cmath>

#include "kernels/half.h"

namespace midge {
namespace {

// The nibble of x in units of 1 / inverse, 8 standing for zero.
int nibble(float x, float inverse) {
  const float q = std::nearbyintf(x * inverse) + 8.0f;
  // Written so that a NaN ends in range as well.
  return q >= 15.0f ? 15 : (q > 0.0f ? static_cast<int>(q) : 0);
}

float inverse_of(float scale) { return scale == 0.0f ? 0.0f : 1.0f / scale; }

// x[32] as nibbles in the order of BlockQ4B32.
void put_nibbles(const float* x, float inverse, uint8_t* nibbles) {
  for (int j = 0; j < 16; ++j) {
    nibbles[j] = static_cast<uint8_t>(nibble(x[j], inverse) | nibble(x[j + 16], inverse) << 4);
  }
}

// The element of the largest magnitude, with its sign; NaN if there is one.
float extreme(const float* x, int count) {
  float found = 0.0f;
  for (int i = 0; i < count && !std::isnan(found); ++i) {
    if (!(std::fabs(x[i]) <= std::fabs(found))) found = x[i];
  }
  return found;
}

// The extreme becomes -8, the end of the range that has one step more.
void encode_block(const float* x, BlockQ4B32* out) {
  out->scale = f32_to_f16(extreme(x, 32) / -8.0f);
  put_nibbles(x, inverse_of(f16_to_f32(out->scale)), out->nibbles);
}

void encode_block(const float* x, BlockQ8B32* out) {
  out->scale = f32_to_f16(std::fabs(extreme(x, 32)) / 127.0f);
  const float inverse = inverse_of(f16_to_f32(out->scale));
  for (int j = 0; j < 32; ++j) {
    const float q = std::nearbyintf(x[j] * inverse);
    out->values[j] = static_cast<int8_t>(q >= 127.0f ? 127.0f : (q > -127.0f ? q : -127.0f));
  }
}

// q (0..31) of x[32] into the nibbles and fifth bits of a block.
template <typename Block>
void put_fifths(const int (&q)[32], Block* out) {
  std::fill_n(out->high_bits, 4, uint8_t{0});
  for (int j = 0; j < 32; ++j) {
    out->high_bits[j / 8] |= static_cast<uint8_t>(q[j] >> 4 << (j % 8));
  }
  for (int j = 0; j < 16; ++j) {
    out->nibbles[j] = static_cast<uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
  }
}

// (x - minimum) in steps of 1 / inverse, 0..max.
int step_of(float x, float minimum, float inverse, int max) {
  const float q = std::nearbyintf((x - minimum) * inverse);
  // Written so that a NaN ends in range as well.
  return q >= static_cast<float>(max) ? max : (q > 0.0f ? static_cast<int>(q) : 0);
}

// The extreme becomes -16.
void encode_block(const float* x, BlockQ5B32* out) {
  out->scale = f32_to_f16(extreme(x, 32) / -16.0f);
  const float scale = f16_to_f32(out->scale);
  int q[32];
  for (int j = 0; j < 32; ++j) q[j] = step_of(x[j], -16.0f * scale, inverse_of(scale), 31);
  put_fifths(q, out);
}

// The lowest number becomes q = 0, the highest q = max.
template <typename Block>
void encode_range(const float* x, int max, int (&q)[32], Block* out) {
  float lowest = x[0];
  float highest = x[0];
  for (int j = 1; j < 32 && !std::isnan(lowest); ++j) {
    if (!(x[j] >= lowest)) lowest = x[j];
    if (!(x[j] <= highest)) highest = x[j];
  }
  out->minimum = f32_to_f16(lowest);
  out->scale = f32_to_f16((highest - lowest) / static_cast<float>(max));
  const float minimum = f16_to_f32(out->minimum);
  const float inverse = inverse_of(f16_to_f32(out->scale));
  for (int j = 0; j < 32; ++j) q[j] = step_of(x[j], minimum, inverse, max);
}

void encode_block(const float* x, BlockQ4B32M* out) {
  int q[32];
  encode_range(x, 15, q, out);
  for (int j = 0; j < 16; ++j) out->nibbles[j] = static_cast<uint8_t>(q[j] | q[j + 16] << 4);
}

void encode_block(const float* x, BlockQ5B32M* out) {
  int q[32];
  encode_range(x, 31, q, out);
  put_fifths(q, out);
}

// The scale that a sub-block of 32 wants: its extremes fit into -8 .. 7.
float wanted_scale(const float* x) {
  float scale = 0.0f;
  for (int j = 0; j < 32 && !std::isnan(scale); ++j) {
    const float needed = x[j] < 0.0f ? x[j] / -8.0f : x[j] / 7.0f;
    if (!(needed <= scale)) scale = needed;
  }
  return scale;
}

void encode_block(const float* x, BlockQ4B32S256* out) {
  float wanted[8];
  float largest = 0.0f;
  for (int b = 0; b < 8; ++b) {
    wanted[b] = wanted_scale(x + 32 * b);
    if (!std::isnan(largest) && !(wanted[b] <= largest)) largest = wanted[b];
  }
  out->scale = f32_to_f16(largest / 15.0f);
  const float scale = f16_to_f32(out->scale);
  std::fill_n(out->sub_scales, 4, uint8_t{0});
  for (int b = 0; b < 8; ++b) {
    const float rounded = std::nearbyintf(wanted[b] * inverse_of(scale));
    const int sub_scale = rounded >= 15.0f ? 15 : (rounded > 0.0f ? static_cast<int>(rounded) : 0);
    out->sub_scales[b / 2] |= static_cast<uint8_t>(sub_scale << (4 * (b % 2)));
    const float inverse = inverse_of(scale * static_cast<float>(sub_scale));
    put_nibbles(x + 32 * b, inverse, out->nibbles + 16 * b);
  }
}

template <typename Block, int kElements>
void encode_blocks(const float* in, int64_t k, void* out) {
  auto* block = static_cast<Block*>(out);
  for (int64_t i = 0; i < k; i += kElements, ++block) {
    if (k - i >= kElements) {
      encode_block(in + i, block);
    } else {
      float padded[kElements] = {};
      std::copy_n(in + i, k - i, padded);
      encode_block(padded, block);
    }
  }
}

}  // namespace

bool can_encode(Encoding encoding) {
  return encoding == Encoding::kF16 || encoding == Encoding::kQ4B32 ||
         encoding == Encoding::kQ4B32M || encoding == Encoding::kQ5B32 ||
         encoding == Encoding::kQ5B32M || encoding == Encoding::kQ4B32S256 ||
         encoding == Encoding::kQ8B32;
}

void encode_row(Encoding encoding, const float* in, int64_t k, void* out) {
  switch (encoding) {
    case Encoding::kQ4B32: return encode_blocks<BlockQ4B32, 32>(in, k, out);
    case Encoding::kQ4B32M: return encode_blocks<BlockQ4B32M, 32>(in, k, out);
    case Encoding::kQ5B32: return encode_blocks<BlockQ5B32, 32>(in, k, out);
    case Encoding::kQ5B32M: return encode_blocks<BlockQ5B32M, 32>(in, k, out);
    case Encoding::kQ4B32S256: return encode_blocks<BlockQ4B32S256, 256>(in, k, out);
    case Encoding::kQ8B32: return encode_blocks<BlockQ8B32, 32>(in, k, out);
    default: break;
  }
  auto* halves = static_cast<uint16_t*>(out);
  for (int64_t i = 0; i < k; ++i) halves[i] = f32_to_f16(in[i]);
}

}  // namespace midge
