// Weight encodings: how numbers are stored, by content (bits, block, scale), never by file format.
// The pictures and formulas are in docs/formats/encodings.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace midge {

enum class Encoding : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4B32,  ///< 32 weights: f16 scale, 16 bytes of nibbles; w = scale * (q - 8). GGUF's Q4_0
  kQ8B32,  ///< 32 weights: f16 scale, 32 int8; w = scale * q. GGUF's Q8_0
};
inline constexpr int kEncodingCount = 5;

struct EncodingInfo {
  const char* name;    ///< as in kernel names: "q4b32"
  int block_elements;  ///< weights per block
  int block_bytes;
};

namespace encoding_internal {
inline constexpr EncodingInfo kTable[kEncodingCount] = {
    {"f32", 1, 4}, {"f16", 1, 2}, {"bf16", 1, 2}, {"q4b32", 32, 18}, {"q8b32", 32, 34},
};
}  // namespace encoding_internal

inline constexpr const EncodingInfo& encoding_info(Encoding encoding) {
  return encoding_internal::kTable[static_cast<int>(encoding)];
}

/// Bytes of a row of k weights; k is a multiple of the block.
inline constexpr int64_t encoded_row_bytes(Encoding encoding, int64_t k) {
  const EncodingInfo& info = encoding_info(encoding);
  return k / info.block_elements * info.block_bytes;
}

/// q4b32 as in a file. Byte j holds weight j in its low and weight j + 16 in its high nibble.
struct BlockQ4B32 {
  uint16_t scale;  // f16
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ4B32) == 18 && alignof(BlockQ4B32) == 2);

/// q8b32 as in a file.
struct BlockQ8B32 {
  uint16_t scale;  // f16
  int8_t values[32];
};
static_assert(sizeof(BlockQ8B32) == 34 && alignof(BlockQ8B32) == 2);

}  // namespace midge
