// How the packed units of every encoding are read: the specification of kernels/packed.h.
#pragma once

#include <cstdint>

#include "kernels/generic/panel/panel_constants.h"
#include "kernels/half.h"
#include "kernels/packed.h"

namespace midge::generic {

/// q (0..15) less 8 of a row, column 4 * (line) + i of a block of nibble lines.
inline int packed_nibble(const uint8_t (*lines)[64], int row, int column) {
  const uint8_t byte = lines[column / 4][row % 16 * 4 + column % 4];
  return row < 16 ? (byte & 15) - 8 : ((byte >> 4) ^ 8) - 8;
}

// Readers of units of 32 columns with one scale.
//   scale(unit, row)           f32
//   weight(unit, row, column)  the integer weight of column 0..31, signed
// They say how the prefill arithmetic scales them, either (generic/panel/panel.h) by
//   kPanelFactor         weights times this use all of int8
//   kPanelMultiplierMax  of the block with the largest scale
// or (generic/panel/unpack_s256.h) by
//   kWeightMin, kWeightMax  the range of weight()
// The latter may have a minimum, which belongs to the weight kWeightMin:
//   kHasMinimums            true
//   minimum(unit, row)      of the block, f32

struct ReadQ4B32 {
  using Unit = UnitQ4B32;
  static constexpr int kPanelFactor = 16;
  static constexpr float kPanelMultiplierMax = kQ4MultiplierMax;
  static float scale(const Unit& unit, int row) { return f16_to_f32(unit.scales[row]); }
  static int weight(const Unit& unit, int row, int column) {
    return packed_nibble(unit.nibbles, row, column);
  }
};

struct ReadQ4B32M {
  using Unit = UnitQ4B32M;
  static constexpr int kWeightMin = -8;
  static constexpr int kWeightMax = 7;
  static constexpr bool kHasMinimums = true;
  static float scale(const Unit& unit, int row) { return f16_to_f32(unit.scales[row]); }
  static float minimum(const Unit& unit, int row) { return f16_to_f32(unit.minimums[row]); }
  static int weight(const Unit& unit, int row, int column) {
    return packed_nibble(unit.block.nibbles, row, column);
  }
};

struct ReadQ8B32 {
  using Unit = UnitQ8B32;
  static constexpr int kPanelFactor = 1;
  static constexpr float kPanelMultiplierMax = kQ8MultiplierMax;
  static float scale(const Unit& unit, int row) { return f16_to_f32(unit.scales[row]); }
  static int weight(const Unit& unit, int row, int column) {
    return unit.values[column / 4][row / 16][row % 16 * 4 + column % 4];
  }
};

/// s and m of a block of q4b32ms256 and q5b32ms256.
template <typename Units>
int packed_sub_scale(const Units& unit, int block, int row) {
  return unit.sub_scales[row / 16][block][row % 16] & 63;
}
template <typename Units>
int packed_sub_minimum(const Units& unit, int block, int row) {
  const uint8_t direct = unit.sub_scales[2][block][row % 16];
  if (row < 16) return direct & 63;
  return unit.sub_scales[0][block][row - 16] >> 6 | unit.sub_scales[1][block][row - 16] >> 6 << 2 |
         direct >> 6 << 4;
}

// Readers of units of 256 columns whose integer scales belong to blocks of kBlockColumns columns.
//   kWeightMin, kWeightMax      the range of weight()
//   factor(unit, block, row)      the integer scale
//   minimum(unit, block, row)     the integer minimum, with kHasMinimums
//   weight(unit, row, column)   the integer weight of column 0..255

struct ReadQ4B32MS256 {
  using Unit = UnitQ4B32MS256;
  static constexpr int kBlockColumns = 32;
  static constexpr bool kHasMinimums = true;
  static constexpr int kWeightMin = 0;
  static constexpr int kWeightMax = 15;
  static int factor(const Unit& unit, int block, int row) {
    return packed_sub_scale(unit, block, row);
  }
  static int minimum(const Unit& unit, int block, int row) {
    return packed_sub_minimum(unit, block, row);
  }
  static int weight(const Unit& unit, int row, int column) {
    return packed_nibble(unit.blocks[column / 32].nibbles, row, column % 32) + 8;
  }
};

/// q (0..31) of a row and column of a block of q5b32ms256.
inline int packed_fifth(const UnitQ5B32MS256::Block& block, int row, int column) {
  const int line = column / 4;
  const int at = row % 16 * 4 + column % 4;
  const int nibble = block.nibbles[line][at] >> (row < 16 ? 0 : 4) & 15;
  const int fifth = block.high_bits[row / 16][at] >> line & 1;
  return nibble | (fifth ^ 1) << 4;
}

struct ReadQ5B32 {
  using Unit = UnitQ5B32;
  static constexpr int kWeightMin = -16;
  static constexpr int kWeightMax = 15;
  static float scale(const Unit& unit, int row) { return f16_to_f32(unit.scales[row]); }
  static int weight(const Unit& unit, int row, int column) {
    return packed_fifth(unit.block, row, column) - 16;
  }
};

struct ReadQ5B32M {
  using Unit = UnitQ5B32M;
  static constexpr int kWeightMin = -16;
  static constexpr int kWeightMax = 15;
  static constexpr bool kHasMinimums = true;
  static float scale(const Unit& unit, int row) { return f16_to_f32(unit.scales[row]); }
  static float minimum(const Unit& unit, int row) { return f16_to_f32(unit.minimums[row]); }
  static int weight(const Unit& unit, int row, int column) {
    return packed_fifth(unit.block, row, column) - 16;
  }
};

struct ReadQ5B32MS256 {
  using Unit = UnitQ5B32MS256;
  static constexpr int kBlockColumns = 32;
  static constexpr bool kHasMinimums = true;
  static constexpr int kWeightMin = 0;
  static constexpr int kWeightMax = 31;
  static int factor(const Unit& unit, int block, int row) {
    return packed_sub_scale(unit, block, row);
  }
  static int minimum(const Unit& unit, int block, int row) {
    return packed_sub_minimum(unit, block, row);
  }
  static int weight(const Unit& unit, int row, int column) {
    return packed_fifth(unit.blocks[column / 32], row, column % 32);
  }
};

struct ReadQ6B16S256 {
  using Unit = UnitQ6B16S256;
  static constexpr int kBlockColumns = 16;
  static constexpr bool kHasMinimums = false;
  static constexpr int kWeightMin = -32;
  static constexpr int kWeightMax = 31;
  static int factor(const Unit& unit, int block, int row) { return unit.sub_scales[block][row]; }
  static int minimum(const Unit&, int, int) { return 0; }
  static int weight(const Unit& unit, int row, int column) {
    const Unit::Columns8& eight = unit.columns8[column / 32][column % 32 / 8];
    const int line = column % 8 / 4;
    const int at = row % 16 * 4 + column % 4;
    const int nibble = eight.nibbles[line][at] >> (row < 16 ? 0 : 4) & 15;
    const int upper = eight.high_bits[at] >> (4 * line + row / 16 * 2) & 3;
    return (nibble | (upper ^ 2) << 4) - 32;
  }
};

/// Whether integer scales belong to blocks of columns.
template <typename Reader>
concept HasSuperBlocks = requires { Reader::kBlockColumns; };

/// Whether units of 32 columns have a range of weights, and minimums.
template <typename Reader>
concept HasRange = !HasSuperBlocks<Reader> && requires { Reader::kWeightMax; };
template <typename Reader>
concept HasMinimums = requires { requires Reader::kHasMinimums; };

/// What weights of units of 32 columns lack to be the integers as stored, where these matter: with
/// minimums.
template <typename Reader>
constexpr int zero_of() {
  if constexpr (HasMinimums<Reader>) {
    return -Reader::kWeightMin;
  } else {
    return 0;
  }
}

/// The weight of a row and column of a unit as f32, rounded like the row form's.
template <typename Reader>
  requires(!HasSuperBlocks<Reader>)
float packed_value(const typename Reader::Unit& unit, int row, int column) {
  const int weight = Reader::weight(unit, row, column) + zero_of<Reader>();
  const float value = Reader::scale(unit, row) * static_cast<float>(weight);
  if constexpr (HasMinimums<Reader>) {
    return value + Reader::minimum(unit, row);
  } else {
    return value;
  }
}

template <typename Reader>
  requires HasSuperBlocks<Reader>
float packed_value(const typename Reader::Unit& unit, int row, int column) {
  const int block = column / Reader::kBlockColumns;
  const float scale =
      f16_to_f32(unit.scales[row]) * static_cast<float>(Reader::factor(unit, block, row));
  const float value = scale * static_cast<float>(Reader::weight(unit, row, column));
  if constexpr (Reader::kHasMinimums) {
    return value -
           f16_to_f32(unit.minimums[row]) * static_cast<float>(Reader::minimum(unit, block, row));
  } else {
    return value;
  }
}

/// Columns of a reader's unit.
template <typename Reader>
constexpr int64_t unit_columns() {
  return HasSuperBlocks<Reader> ? 256 : 32;
}

/// The weight of a row and column of a tile, or of a part of it, whose units begin at `units`.
template <typename Reader>
float packed_weight(const void* units, int row, int64_t column) {
  constexpr int64_t kColumns = unit_columns<Reader>();
  const auto& unit = static_cast<const typename Reader::Unit*>(units)[column / kColumns];
  return packed_value<Reader>(unit, row, static_cast<int>(column % kColumns));
}

}  // namespace midge::generic
