// Packed weights: the one layout that the kernels of every ISA read. docs/formats/packed.md has the
// pictures.
//
// A matrix [n, k] is cut into tiles of 32 rows; a tile is one stream of units in order of k, a unit
// being 32 rows x packed_info().unit_elements. Rows beyond n and columns beyond k are weights of
// zero; encodings that are packed from files alone have no columns beyond k, as their blocks there
// are as long as a unit. Tiles and units start on cache lines.
#pragma once

#include <cstdint>

#include "kernels/encoding.h"

namespace midge {

/// Rows of a tile. A line of 64 bytes holds 4 columns of 16 rows as int8, or of 32 rows as nibbles:
/// one 512-bit register, lane = row.
inline constexpr int64_t kTileRows = 32;

/// 32 columns of `q4b32`: scale[r] * (q - 8).
/// Line g holds columns 4g..4g+3; byte 4r + i is column 4g + i of row r in its low nibble (q) and
/// of row r + 16 in its high nibble (q ^ 8, which is q - 8 in two's complement). So the whole byte,
/// read as int8, is 16 * (q[r + 16] - 8) + q[r]: a dot product of whole bytes less one of the low
/// nibbles is 16 times the upper row's, without a shift.
struct UnitQ4B32 {
  uint16_t scales[32];  // f16, [rows]
  uint8_t nibbles[8][64];
};
static_assert(sizeof(UnitQ4B32) == 9 * 64);

/// 32 columns of `q8b32`: scale[r] * value.
/// values[g][h]: columns 4g..4g+3 of rows 16h..16h+15, byte 4r + i is column 4g + i of row 16h + r.
struct UnitQ8B32 {
  uint16_t scales[32];  // f16, [rows]
  int8_t values[8][2][64];
};
static_assert(sizeof(UnitQ8B32) == 17 * 64);

/// 256 columns of `q4b32ms256`: scale[r] * s * q - minimum[r] * m, s and m of 6 bits per 32
/// columns. sub_scales[i][b][r], i = 0..2, has in its low 6 bits: s of row r, s of row r + 16, m of
/// row r. The upper two bits of the three make m of row r + 16, those of i = 0 being its lowest.
/// nibbles[b] is as in UnitQ4B32.
struct UnitQ4B32MS256 {
  uint16_t scales[32];    // f16, [rows]
  uint16_t minimums[32];  // f16, [rows]
  uint8_t sub_scales[3][8][16];
  struct Block {
    uint8_t nibbles[8][64];
  } blocks[8];
};
static_assert(sizeof(UnitQ4B32MS256) == 72 * 64);

/// 256 columns of `q5b32ms256`: the same with q = 0..31. Bit g of high_bits[h][p] belongs to the
/// low (h = 0) or high (h = 1) nibble of byte p of line g. It is the fifth bit of q, inverted:
/// above the nibble it makes q - 16 in two's complement. High nibbles are stored plainly here, as
/// nothing is gained by q ^ 8.
struct UnitQ5B32MS256 {
  uint16_t scales[32];    // f16, [rows]
  uint16_t minimums[32];  // f16, [rows]
  uint8_t sub_scales[3][8][16];
  struct Block {
    uint8_t high_bits[2][64];
    uint8_t nibbles[8][64];
  } blocks[8];
};
static_assert(sizeof(UnitQ5B32MS256) == 88 * 64);

/// 256 columns of `q6b16s256`: scale[r] * s * (q - 32), s of 8 bits per 16 columns.
/// columns8[b][p] has columns 8p..8p+7 of block b: two lines of nibbles, byte 4r + i of line g
/// being column 4g + i of row r in the low and of row r + 16 in the high nibble. The same byte of
/// high_bits has the upper two bits of those four weights, that of a higher line or of a higher
/// nibble being further up. They are (q ^ 32) >> 4: above the nibble they make q - 32 in two's
/// complement.
struct UnitQ6B16S256 {
  uint16_t scales[32];        // f16, [rows]
  int8_t sub_scales[16][32];  // [blocks of 16 columns][rows]
  struct Columns8 {
    uint8_t high_bits[64];
    uint8_t nibbles[2][64];
  } columns8[8][4];
};
static_assert(sizeof(UnitQ6B16S256) == 105 * 64);

/// 32 columns of `q4b32m`: scale[r] * q + minimum[r].
struct UnitQ4B32M {
  uint16_t scales[32];    // f16, [rows]
  uint16_t minimums[32];  // f16, [rows]
  UnitQ4B32MS256::Block block;
};
static_assert(sizeof(UnitQ4B32M) == 10 * 64);

/// 32 columns of `q5b32`: scale[r] * (q - 16).
struct UnitQ5B32 {
  uint16_t scales[32];  // f16, [rows]
  UnitQ5B32MS256::Block block;
};
static_assert(sizeof(UnitQ5B32) == 11 * 64);

/// 32 columns of `q5b32m`: scale[r] * q + minimum[r].
struct UnitQ5B32M {
  uint16_t scales[32];    // f16, [rows]
  uint16_t minimums[32];  // f16, [rows]
  UnitQ5B32MS256::Block block;
};
static_assert(sizeof(UnitQ5B32M) == 12 * 64);

/// One column of `f16`.
struct UnitF16 {
  uint16_t values[32];  // [rows]
};
static_assert(sizeof(UnitF16) == 64);

/// What a packed unit of an encoding is; elements 0: the encoding has no packed form.
struct PackedInfo {
  int unit_elements;
  int unit_bytes;
};

inline constexpr PackedInfo packed_info(Encoding encoding) {
  switch (encoding) {
#define MIDGE_PACKED_ENCODING(token, Name, Block, elements) \
  case Encoding::k##Name: return {elements, sizeof(Unit##Name)};
#include "kernels/encodings.def"
    case Encoding::kF16: return {1, sizeof(UnitF16)};
    default: return {0, 0};
  }
}

/// Bytes of one tile of a matrix with k columns.
inline constexpr int64_t packed_tile_bytes(Encoding encoding, int64_t k) {
  const PackedInfo info = packed_info(encoding);
  return (k + info.unit_elements - 1) / info.unit_elements * info.unit_bytes;
}

/// 32 activations of one row for the decode kernels: value * scale, |value| <= 127.
/// correction is -8 * sum(values): an accumulator that starts from it and adds the products of
/// nibbles q = 0..15 ends with those of q - 8. Kernels that need another multiple of the sum (8-bit
/// weights made unsigned by adding 128: 16 * correction) derive it.
struct LhsBlock {
  float scale;
  int32_t correction;
  int8_t values[32];
};
static_assert(sizeof(LhsBlock) == 40);

/// Blocks of a quantised row of k activations, the last one filled up with zeros. A whole number
/// of 256 columns, so that every packed unit has its blocks.
inline constexpr int64_t lhs_blocks(int64_t k) { return (k + 255) / 256 * 8; }

/// Columns that share a scale in the prefill arithmetic.
inline constexpr int64_t kPanelColumns = 256;
/// Bytes of the int8 panel of one tile: 32 rows x 256 columns, in the order that the level's
/// gemm_panel kernel wants.
inline constexpr int64_t kPanelBytes = kTileRows * kPanelColumns;

}  // namespace midge
