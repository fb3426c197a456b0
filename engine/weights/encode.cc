#include "engine/weights/encode.h"

#include <algorithm>
#include <cmath>

#include "engine/core/checked_math.h"
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
  nearest_multiples(in.x, inverse_of(f16_to_f32(out->scale)), -127, 127, out->values);
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

// q of a block that has a minimum of its own.
template <typename Block>
void encode_range(const float* x, ScaleAndMinimum fit, int max, int (&q)[32], Block* out) {
  out->minimum = f32_to_f16(fit.minimum);
  out->scale = f32_to_f16(fit.scale);
  const float minimum = f16_to_f32(out->minimum);
  const float inverse = inverse_of(f16_to_f32(out->scale));
  for (int j = 0; j < 32; ++j) q[j] = step_of(x[j], minimum, inverse, max);
}

void encode_line(const float* x, ScaleAndMinimum fit, BlockQ4B32M* out) {
  int q[32];
  encode_range(x, fit, 15, q, out);
  for (int j = 0; j < 16; ++j) out->nibbles[j] = static_cast<uint8_t>(q[j] | q[j + 16] << 4);
}

void encode_line(const float* x, ScaleAndMinimum fit, BlockQ5B32M* out) {
  int q[32];
  encode_range(x, fit, 31, q, out);
  put_fifths(q, out);
}

// Integer scales and minimums of the eight blocks of a super-block, in units of two f16.
struct SuperFit {
  uint16_t scale;    // f16
  uint16_t minimum;  // f16, of what is taken away
  WholeLines lines;
};

// Each block is fitted by itself, then rounded.
SuperFit fit_super_block(const FitInput& in, int highest) {
  const FitBlocks blocks(in, kFitLanes);
  FitLines fits;
  fit_ranges(blocks, highest, 0.0f, &fits);
  float scale_max = 0.0f;
  float minimum_max = 0.0f;
  for (int b = 0; b < kFitLanes; ++b) {
    // What is not a number stays, so that whoever checks the block sees it.
    if (!(fits.scale[b] <= scale_max) && !std::isnan(scale_max)) scale_max = fits.scale[b];
    if (!(-fits.minimum[b] <= minimum_max)) minimum_max = -fits.minimum[b];
  }
  SuperFit super = {f32_to_f16(scale_max / 63.0f), f32_to_f16(minimum_max / 63.0f), {}};
  round_lines(blocks, fits, f16_to_f32(super.scale), f16_to_f32(super.minimum), highest,
              &super.lines);
  return super;
}

// The twelve bytes that generic::sub_scale_and_minimum takes apart.
void put_sub_scales(const WholeLines& lines, uint8_t* packed) {
  const auto& [scales, minimums] = lines;
  for (int b = 0; b < 4; ++b) {
    packed[b] = static_cast<uint8_t>(scales[b] | scales[b + 4] >> 4 << 6);
    packed[b + 4] = static_cast<uint8_t>(minimums[b] | minimums[b + 4] >> 4 << 6);
    packed[b + 8] = static_cast<uint8_t>((scales[b + 4] & 15) | (minimums[b + 4] & 15) << 4);
  }
}

// What q4b32ms256 and q5b32ms256 share; put(q, b) stores the fifth bits of block b.
template <typename Block, typename Put>
void encode_super_block(const FitInput& in, int highest, Block* out, const Put& put) {
  const SuperFit fit = fit_super_block(in, highest);
  out->scale = fit.scale;
  out->minimum = fit.minimum;
  put_sub_scales(fit.lines, out->packed_scales);
  for (int b = 0; b < 8; ++b) {
    const ScaleAndMinimum line = {
        f16_to_f32(fit.scale) * static_cast<float>(fit.lines.scale[b]),
        -f16_to_f32(fit.minimum) * static_cast<float>(fit.lines.minimum[b])};
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

// Columns that are encoded at a time.
constexpr int kColumns = 256;
static_assert(kColumns == kFitBlock * kFitLanes);

// Blocks of 32 one by one.
template <typename Block>
void encode_each(const FitInput& in, int count, Block* out) {
  for (int b = 0; b < count; ++b) {
    encode_block({in.x + kFitBlock * b, in.weight + kFitBlock * b}, out + b);
  }
}

// Blocks of 32 with a minimum each, side by side.
template <typename Block>
void encode_lines(const FitInput& in, int count, int highest, Block* out) {
  FitLines fits;
  fit_ranges(FitBlocks(in, count), highest, INFINITY, &fits);
  for (int b = 0; b < count; ++b) encode_line(in.x + kFitBlock * b, fits.of(b), out + b);
}

// in[kColumns] into `count` blocks of 32, at most 8, or into a super-block.
void encode_columns(const FitInput& in, int count, BlockQ4B32* out) { encode_each(in, count, out); }
void encode_columns(const FitInput& in, int count, BlockQ5B32* out) { encode_each(in, count, out); }
void encode_columns(const FitInput& in, int count, BlockQ8B32* out) { encode_each(in, count, out); }
void encode_columns(const FitInput& in, int count, BlockQ4B32M* out) {
  encode_lines(in, count, 15, out);
}
void encode_columns(const FitInput& in, int count, BlockQ5B32M* out) {
  encode_lines(in, count, 31, out);
}
void encode_columns(const FitInput& in, int, BlockQ4B32MS256* out) { encode_block(in, out); }
void encode_columns(const FitInput& in, int, BlockQ5B32MS256* out) { encode_block(in, out); }

template <typename Block, int kElements>
void encode_blocks(const float* in, int64_t k, const float* importance, void* out) {
  auto* block = static_cast<Block*>(out);
  float weights[kColumns];
  std::fill_n(weights, kColumns, 1.0f);
  for (int64_t i = 0; i < k; i += kColumns, block += kColumns / kElements) {
    if (k - i >= kColumns) {
      const float* weight = importance != nullptr ? importance + i : weights;
      encode_columns({in + i, weight}, kFitLanes, block);
    } else {
      // What fills the last block up does not count.
      const int64_t columns = k - i;
      float padded[kColumns] = {};
      std::copy_n(in + i, columns, padded);
      std::fill(weights + columns, weights + kColumns, 0.0f);
      if (importance != nullptr) std::copy_n(importance + i, columns, weights);
      const int64_t count = ceil_div(columns, int64_t{kFitBlock});
      encode_columns({padded, weights}, static_cast<int>(count), block);
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
