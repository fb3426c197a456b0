// Weight encodings: how numbers are stored, by content (bits, block, scale), never by file format.
// The pictures and formulas are in docs/formats/encodings.md, the list in encodings.def.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace midge {

/// kF32, kF16, ..., kQ4B32 ...: one per row of the table.
enum class Encoding : uint8_t {
#define MIDGE_ENCODING(token, Name, Block, elements) k##Name,
#include "kernels/encodings.def"
};

// Blocks as they lie in files. Scales are f16. In every block of 32, byte j of `nibbles` holds
// weight j in its low and weight j + 16 in its high nibble, and bit j of `high_bits` the fifth bit
// of weight j.

struct BlockQ4B32 {
  uint16_t scale;
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ4B32) == 18 && alignof(BlockQ4B32) == 2);

struct BlockQ4B32M {
  uint16_t scale;
  uint16_t minimum;
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ4B32M) == 20 && alignof(BlockQ4B32M) == 2);

struct BlockQ5B32 {
  uint16_t scale;
  uint8_t high_bits[4];
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ5B32) == 22 && alignof(BlockQ5B32) == 2);

struct BlockQ5B32M {
  uint16_t scale;
  uint16_t minimum;
  uint8_t high_bits[4];
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ5B32M) == 24 && alignof(BlockQ5B32M) == 2);

struct BlockQ8B32 {
  uint16_t scale;
  int8_t values[32];
};
static_assert(sizeof(BlockQ8B32) == 34 && alignof(BlockQ8B32) == 2);

/// Eight sub-blocks of 32. `packed_scales` holds eight 6-bit scales and eight 6-bit minimums
/// (sub_scale_and_minimum in decode_block.h takes them apart). Byte l of the 32 nibble
/// bytes of a pair holds weight l of the even sub-block in its low, of the odd one in its high
/// nibble.
struct BlockQ4B32MS256 {
  uint16_t scale;
  uint16_t minimum;
  uint8_t packed_scales[12];
  uint8_t nibbles[128];
};
static_assert(sizeof(BlockQ4B32MS256) == 144 && alignof(BlockQ4B32MS256) == 2);

/// As above; bit s of high_bits[l] is the fifth bit of weight l of sub-block s.
struct BlockQ5B32MS256 {
  uint16_t scale;
  uint16_t minimum;
  uint8_t packed_scales[12];
  uint8_t high_bits[32];
  uint8_t nibbles[128];
};
static_assert(sizeof(BlockQ5B32MS256) == 176 && alignof(BlockQ5B32MS256) == 2);

/// Two halves of 128 weights, each of four quarters of 32. In a half, weight l of quarter 0 and 2
/// has its low bits in byte l of 64, of quarter 1 and 3 in byte l + 32 (quarters 0, 1 the low,
/// 2, 3 the high nibble); bits 2 * quarter of high_bits[l] are its two upper bits.
struct BlockQ6B16S256 {
  uint8_t low_bits[128];
  uint8_t high_bits[64];
  int8_t scales[16];
  uint16_t scale;
};
static_assert(sizeof(BlockQ6B16S256) == 210 && alignof(BlockQ6B16S256) == 2);

struct EncodingInfo {
  const char* name;    ///< as in kernel names: "q4b32"
  int block_elements;  ///< weights per block
  int block_bytes;
};

namespace encoding_internal {
inline constexpr EncodingInfo kTable[] = {
#define MIDGE_ENCODING(token, Name, Block, elements) {#token, elements, sizeof(Block)},
#include "kernels/encodings.def"
};
}  // namespace encoding_internal
inline constexpr int kEncodingCount = static_cast<int>(std::size(encoding_internal::kTable));

inline constexpr const EncodingInfo& encoding_info(Encoding encoding) {
  return encoding_internal::kTable[static_cast<int>(encoding)];
}

/// Finds an encoding by its name; false if there is none.
inline constexpr bool find_encoding(std::string_view name, Encoding* encoding) {
  for (int i = 0; i < kEncodingCount; ++i) {
    if (name == encoding_internal::kTable[i].name) {
      *encoding = static_cast<Encoding>(i);
      return true;
    }
  }
  return false;
}

/// Bytes of a row of k weights, in whole blocks.
inline constexpr int64_t encoded_row_bytes(Encoding encoding, int64_t k) {
  const EncodingInfo& info = encoding_info(encoding);
  return (k + info.block_elements - 1) / info.block_elements * info.block_bytes;
}

}  // namespace midge
