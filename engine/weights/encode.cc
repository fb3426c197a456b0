#include "engine/weights/encode.h"

#include <algorithm>
#include <cmath>

#include "engine/weights/least_squares.h"
#include "kernels/half.h"

namespace midge {
namespace {

// The nibble of x in units of 1 / inverse, 8 standing for zero.
int nibble(float x, float inverse) {
  return static_cast<int>(round_within(x * inverse, -8.0f, 7.0f)) + 8;
}

// x[32] as nibbles in the order of BlockQ4B32.
void put_nibbles(const float* x, float inverse, uint8_t* nibbles) {
  for (int j = 0; j < 16; ++j) {
    nibbles[j] = static_cast<uint8_t>(nibble(x[j], inverse) | nibble(x[j + 16], inverse) << 4);
  }
}

void encode_block(const FitInput& in, BlockQ4B32* out) {
  out->scale = f32_to_f16(fit_scale(in, -8, 7));
  put_nibbles(in.x, inverse_of(f16_to_f32(out->scale)), out->nibbles);
}

// Eight bits need no search: the extreme becomes 127.
void encode_block(const FitInput& in, BlockQ8B32* out) {
  out->scale = f32_to_f16(std::fabs(extreme(in.x)) / 127.0f);
  const float inverse = inverse_of(f16_to_f32(out->scale));
  for (int j = 0; j < 32; ++j) {
    out->values[j] = static_cast<int8_t>(round_within(in.x[j] * inverse, -127.0f, 127.0f));
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
  return static_cast<int>(round_within((x - minimum) * inverse, 0.0f, static_cast<float>(max)));
}

void encode_block(const FitInput& in, BlockQ5B32* out) {
  out->scale = f32_to_f16(fit_scale(in, -16, 15));
  const float scale = f16_to_f32(out->scale);
  int q[32];
  for (int j = 0; j < 32; ++j) q[j] = step_of(in.x[j], -16.0f * scale, inverse_of(scale), 31);
  put_fifths(q, out);
}

template <typename Block>
void encode_range(const FitInput& in, int max, int (&q)[32], Block* out) {
  const ScaleAndMinimum fit = fit_range(in, max, INFINITY);
  out->minimum = f32_to_f16(fit.minimum);
  out->scale = f32_to_f16(fit.scale);
  const float minimum = f16_to_f32(out->minimum);
  const float inverse = inverse_of(f16_to_f32(out->scale));
  for (int j = 0; j < 32; ++j) q[j] = step_of(in.x[j], minimum, inverse, max);
}

void encode_block(const FitInput& in, BlockQ4B32M* out) {
  int q[32];
  encode_range(in, 15, q, out);
  for (int j = 0; j < 16; ++j) out->nibbles[j] = static_cast<uint8_t>(q[j] | q[j + 16] << 4);
}

void encode_block(const FitInput& in, BlockQ5B32M* out) {
  int q[32];
  encode_range(in, 31, q, out);
  put_fifths(q, out);
}

FitInput block_of(const FitInput& in, int b) { return {in.x + 32 * b, in.weight + 32 * b}; }

// Integer scales and minimums of the eight blocks of a super-block, in units of two f16.
struct SuperFit {
  uint16_t scale;    // f16
  uint16_t minimum;  // f16, of what is taken away
  int scales[8];     // 0..63
  int minimums[8];   // 0..63
};

// value in units of `unit`, 0..63.
int sixty_fourths(float value, float unit) { return step_of(value, 0.0f, inverse_of(unit), 63); }

// Each block is fitted by itself; then its scale and minimum are rounded together: of the integers
// next to them, the pair with the least error is taken.
SuperFit fit_super_block(const FitInput& in, int highest) {
  ScaleAndMinimum fits[8];
  float scale_max = 0.0f;
  float minimum_max = 0.0f;
  for (int b = 0; b < 8; ++b) {
    fits[b] = fit_range(block_of(in, b), highest, 0.0f);
    // What is not a number stays, so that whoever checks the block sees it.
    if (!(fits[b].scale <= scale_max) && !std::isnan(scale_max)) scale_max = fits[b].scale;
    if (!(-fits[b].minimum <= minimum_max)) minimum_max = -fits[b].minimum;
  }
  SuperFit super = {f32_to_f16(scale_max / 63.0f), f32_to_f16(minimum_max / 63.0f), {}, {}};
  const float scale_unit = f16_to_f32(super.scale);
  const float minimum_unit = f16_to_f32(super.minimum);
  for (int b = 0; b < 8; ++b) {
    const int scale = sixty_fourths(fits[b].scale, scale_unit);
    const int minimum = sixty_fourths(-fits[b].minimum, minimum_unit);
    float least = INFINITY;
    for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, 63); ++s) {
      ScaleAndMinimum rounded[kErrorsAtOnce];
      int minimums[kErrorsAtOnce];
      for (int i = 0; i < kErrorsAtOnce; ++i) {
        minimums[i] = std::clamp(minimum - 1 + i, 0, 63);
        rounded[i] = {scale_unit * static_cast<float>(s),
                      -minimum_unit * static_cast<float>(minimums[i])};
      }
      float errors[kErrorsAtOnce];
      range_errors(block_of(in, b), rounded, highest, errors);
      for (int i = 0; i < kErrorsAtOnce; ++i) {
        if (!(errors[i] < least)) continue;
        least = errors[i];
        super.scales[b] = s;
        super.minimums[b] = minimums[i];
      }
    }
  }
  return super;
}

// The twelve bytes that generic::sub_scale_and_minimum takes apart.
void put_sub_scales(const SuperFit& fit, uint8_t* packed) {
  for (int b = 0; b < 4; ++b) {
    packed[b] = static_cast<uint8_t>(fit.scales[b] | fit.scales[b + 4] >> 4 << 6);
    packed[b + 4] = static_cast<uint8_t>(fit.minimums[b] | fit.minimums[b + 4] >> 4 << 6);
    packed[b + 8] =
        static_cast<uint8_t>((fit.scales[b + 4] & 15) | (fit.minimums[b + 4] & 15) << 4);
  }
}

// What q4b32ms256 and q5b32ms256 share; put(q, b) stores the fifth bits of block b.
template <typename Block, typename Put>
void encode_super_block(const FitInput& in, int highest, Block* out, const Put& put) {
  const SuperFit fit = fit_super_block(in, highest);
  out->scale = fit.scale;
  out->minimum = fit.minimum;
  put_sub_scales(fit, out->packed_scales);
  for (int b = 0; b < 8; ++b) {
    const ScaleAndMinimum line = {f16_to_f32(fit.scale) * static_cast<float>(fit.scales[b]),
                                  -f16_to_f32(fit.minimum) * static_cast<float>(fit.minimums[b])};
    uint8_t q[32];
    nearest_steps(in.x + 32 * b, line, highest, q);
    uint8_t* nibbles = out->nibbles + b / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      const int low = b % 2 == 0 ? 0 : nibbles[l];
      nibbles[l] = static_cast<uint8_t>(low | (q[l] & 15) << (4 * (b % 2)));
    }
    put(q, b);
  }
}

void encode_block(const FitInput& in, BlockQ4B32MS256* out) {
  encode_super_block(in, 15, out, [](const uint8_t*, int) {});
}

void encode_block(const FitInput& in, BlockQ5B32MS256* out) {
  std::fill_n(out->high_bits, 32, uint8_t{0});
  encode_super_block(in, 31, out, [&](const uint8_t* q, int b) {
    for (int l = 0; l < 32; ++l) out->high_bits[l] |= static_cast<uint8_t>(q[l] >> 4 << b);
  });
}

template <typename Block, int kElements>
void encode_blocks(const float* in, int64_t k, const float* importance, void* out) {
  auto* block = static_cast<Block*>(out);
  float weights[kElements];
  std::fill_n(weights, kElements, 1.0f);
  for (int64_t i = 0; i < k; i += kElements, ++block) {
    if (k - i >= kElements) {
      encode_block({in + i, importance != nullptr ? importance + i : weights}, block);
    } else {
      // What fills the block up does not count.
      float padded[kElements] = {};
      std::copy_n(in + i, k - i, padded);
      std::fill(weights + (k - i), weights + kElements, 0.0f);
      if (importance != nullptr) std::copy_n(importance + i, k - i, weights);
      encode_block({padded, weights}, block);
    }
  }
}

}  // namespace

bool can_encode(Encoding encoding) {
  switch (encoding) {
    case Encoding::kF16:
    case Encoding::kQ4B32:
    case Encoding::kQ4B32M:
    case Encoding::kQ5B32:
    case Encoding::kQ5B32M:
    case Encoding::kQ8B32:
    case Encoding::kQ4B32MS256:
    case Encoding::kQ5B32MS256: return true;
    default: return false;
  }
}

void encode_row(Encoding encoding, const float* in, int64_t k, const float* importance, void* out) {
  switch (encoding) {
    case Encoding::kQ4B32: return encode_blocks<BlockQ4B32, 32>(in, k, importance, out);
    case Encoding::kQ4B32M: return encode_blocks<BlockQ4B32M, 32>(in, k, importance, out);
    case Encoding::kQ5B32: return encode_blocks<BlockQ5B32, 32>(in, k, importance, out);
    case Encoding::kQ5B32M: return encode_blocks<BlockQ5B32M, 32>(in, k, importance, out);
    case Encoding::kQ8B32: return encode_blocks<BlockQ8B32, 32>(in, k, importance, out);
    case Encoding::kQ4B32MS256: return encode_blocks<BlockQ4B32MS256, 256>(in, k, importance, out);
    case Encoding::kQ5B32MS256: return encode_blocks<BlockQ5B32MS256, 256>(in, k, importance, out);
    default: break;
  }
  auto* halves = static_cast<uint16_t*>(out);
  for (int64_t i = 0; i < k; ++i) halves[i] = f32_to_f16(in[i]);
}

}  // namespace midge
