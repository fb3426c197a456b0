// The value of every encoding, in scalar arithmetic: the specification that all kernels follow.
#pragma once

#include <cstring>

#include "kernels/encoding.h"
#include "kernels/half.h"

namespace midge::generic {

// Decoders turn `count` weights from element `start` of a row into f32. start is a multiple of
// kBlock.

struct DecodeF32 {
  static constexpr int64_t kBlock = 1;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    // The row may be aligned to 2 bytes only (safetensors promises nothing more).
    std::memcpy(out, static_cast<const uint8_t*>(row) + start * 4, static_cast<size_t>(count) * 4);
  }
};

struct DecodeF16 {
  static constexpr int64_t kBlock = 1;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    const auto* in = static_cast<const uint16_t*>(row) + start;
    for (int64_t i = 0; i < count; ++i) out[i] = f16_to_f32(in[i]);
  }
};

struct DecodeBF16 {
  static constexpr int64_t kBlock = 1;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    const auto* in = static_cast<const uint16_t*>(row) + start;
    for (int64_t i = 0; i < count; ++i) out[i] = bf16_to_f32(in[i]);
  }
};

/// A row of blocks of `Block`, kBlock weights each, decoded one by one.
template <typename Block, int64_t kElements, void (*decode)(const Block&, float*)>
struct DecodeBlocks {
  static constexpr int64_t kBlock = kElements;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    const auto* block = static_cast<const Block*>(row) + start / kBlock;
    int64_t i = 0;
    for (; i + kBlock <= count; i += kBlock, ++block) decode(*block, out + i);
    if (i == count) return;
    float last[kBlock];
    decode(*block, last);
    std::memcpy(out + i, last, static_cast<size_t>(count - i) * sizeof(float));
  }
};

inline void decode_q4b32(const BlockQ4B32& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (int j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>((block.nibbles[j] & 15) - 8);
    out[j + 16] = scale * static_cast<float>((block.nibbles[j] >> 4) - 8);
  }
}

inline void decode_q4b32m(const BlockQ4B32M& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  const float minimum = f16_to_f32(block.minimum);
  for (int j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>(block.nibbles[j] & 15) + minimum;
    out[j + 16] = scale * static_cast<float>(block.nibbles[j] >> 4) + minimum;
  }
}

/// The fifth bit of weight j of a block of 32, as 0 or 16.
inline int fifth_bit(const uint8_t* high_bits, int j) {
  return ((high_bits[j / 8] >> (j % 8)) & 1) << 4;
}

inline void decode_q5b32(const BlockQ5B32& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (int j = 0; j < 16; ++j) {
    const int low = (block.nibbles[j] & 15) | fifth_bit(block.high_bits, j);
    const int high = (block.nibbles[j] >> 4) | fifth_bit(block.high_bits, j + 16);
    out[j] = scale * static_cast<float>(low - 16);
    out[j + 16] = scale * static_cast<float>(high - 16);
  }
}

inline void decode_q5b32m(const BlockQ5B32M& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  const float minimum = f16_to_f32(block.minimum);
  for (int j = 0; j < 16; ++j) {
    const int low = (block.nibbles[j] & 15) | fifth_bit(block.high_bits, j);
    const int high = (block.nibbles[j] >> 4) | fifth_bit(block.high_bits, j + 16);
    out[j] = scale * static_cast<float>(low) + minimum;
    out[j + 16] = scale * static_cast<float>(high) + minimum;
  }
}

inline void decode_q8b32(const BlockQ8B32& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (int j = 0; j < 32; ++j) out[j] = scale * static_cast<float>(block.values[j]);
}

struct SubScale {
  int scale;
  int minimum;
};

/// The 6-bit scale and minimum of sub-block s = 0..7. Those of 0..3 are the low six bits of bytes s
/// and s + 4; those of 4..7 share byte s + 4 (low nibble scale, high nibble minimum), with their
/// upper two bits on top of bytes s - 4 and s.
inline SubScale sub_scale_and_minimum(const uint8_t* packed, int s) {
  if (s < 4) return {packed[s] & 63, packed[s + 4] & 63};
  return {(packed[s + 4] & 15) | ((packed[s - 4] >> 6) << 4),
          (packed[s + 4] >> 4) | ((packed[s] >> 6) << 4)};
}

/// What q4b32ms256 and q5b32ms256 share; fifth(l, s) is 0 or 16.
template <typename Block, typename Fifth>
void decode_sub_blocks(const Block& block, const Fifth& fifth, float* out) {
  const float scale = f16_to_f32(block.scale);
  const float minimum = f16_to_f32(block.minimum);
  for (int s = 0; s < 8; ++s) {
    const SubScale sub = sub_scale_and_minimum(block.packed_scales, s);
    const float sub_scale = scale * static_cast<float>(sub.scale);
    const float sub_minimum = minimum * static_cast<float>(sub.minimum);
    const uint8_t* nibbles = block.nibbles + s / 2 * 32;
    for (int l = 0; l < 32; ++l) {
      const int nibble = s % 2 == 0 ? nibbles[l] & 15 : nibbles[l] >> 4;
      out[32 * s + l] = sub_scale * static_cast<float>(nibble + fifth(l, s)) - sub_minimum;
    }
  }
}

inline void decode_q4b32ms256(const BlockQ4B32MS256& block, float* out) {
  decode_sub_blocks(block, [](int, int) { return 0; }, out);
}

inline void decode_q5b32ms256(const BlockQ5B32MS256& block, float* out) {
  decode_sub_blocks(block, [&](int l, int s) { return ((block.high_bits[l] >> s) & 1) << 4; }, out);
}

/// q = 0..63 of weight i = 0..255.
inline int q6_of(const BlockQ6B16S256& block, int i) {
  const int half = i / 128;
  const int quarter = i / 32 % 4;
  const int l = i % 32;
  const uint8_t low = block.low_bits[half * 64 + quarter % 2 * 32 + l];
  const int nibble = quarter < 2 ? low & 15 : low >> 4;
  const int upper = (block.high_bits[half * 32 + l] >> (2 * quarter)) & 3;
  return nibble | upper << 4;
}

inline void decode_q6b16s256(const BlockQ6B16S256& block, float* out) {
  const float scale = f16_to_f32(block.scale);
  for (int i = 0; i < 256; ++i) {
    const float sub_scale = scale * static_cast<float>(block.scales[i / 16]);
    out[i] = sub_scale * static_cast<float>(q6_of(block, i) - 32);
  }
}

using DecodeQ4B32 = DecodeBlocks<BlockQ4B32, 32, decode_q4b32>;
using DecodeQ4B32M = DecodeBlocks<BlockQ4B32M, 32, decode_q4b32m>;
using DecodeQ5B32 = DecodeBlocks<BlockQ5B32, 32, decode_q5b32>;
using DecodeQ5B32M = DecodeBlocks<BlockQ5B32M, 32, decode_q5b32m>;
using DecodeQ8B32 = DecodeBlocks<BlockQ8B32, 32, decode_q8b32>;
using DecodeQ4B32MS256 = DecodeBlocks<BlockQ4B32MS256, 256, decode_q4b32ms256>;
using DecodeQ5B32MS256 = DecodeBlocks<BlockQ5B32MS256, 256, decode_q5b32ms256>;
using DecodeQ6B16S256 = DecodeBlocks<BlockQ6B16S256, 256, decode_q6b16s256>;

}  // namespace midge::generic
