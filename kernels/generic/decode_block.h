// The value of every encoding, in scalar arithmetic: the specification that all kernels follow.
#pragma once

#include <cstring>

#include "kernels/encoding.h"
#include "kernels/half.h"

namespace midge::generic {

// Decoders turn `count` weights from element `start` of a row into f32. start and count are
// multiples of kBlock.

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

struct DecodeQ4B32 {
  static constexpr int64_t kBlock = 32;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    const auto* block = static_cast<const BlockQ4B32*>(row) + start / kBlock;
    for (int64_t i = 0; i < count; i += kBlock, ++block) {
      const float scale = f16_to_f32(block->scale);
      for (int j = 0; j < 16; ++j) {
        out[i + j] = scale * static_cast<float>((block->nibbles[j] & 15) - 8);
        out[i + j + 16] = scale * static_cast<float>((block->nibbles[j] >> 4) - 8);
      }
    }
  }
};

struct DecodeQ8B32 {
  static constexpr int64_t kBlock = 32;
  static void run(const void* row, int64_t start, int64_t count, float* out) {
    const auto* block = static_cast<const BlockQ8B32*>(row) + start / kBlock;
    for (int64_t i = 0; i < count; i += kBlock, ++block) {
      const float scale = f16_to_f32(block->scale);
      for (int j = 0; j < 32; ++j) out[i + j] = scale * static_cast<float>(block->values[j]);
    }
  }
};

}  // namespace midge::generic
