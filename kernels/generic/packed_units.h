// How the packed units of every encoding are read: the specification of kernels/packed.h.
#pragma once

#include <cstdint>

#include "kernels/half.h"
#include "kernels/packed.h"

namespace midge::generic {

/// q (0..15) less 8 of a row, column 4 * (line) + i of a run of nibble lines.
inline int packed_nibble(const uint8_t (*lines)[64], int row, int column) {
  const uint8_t byte = lines[column / 4][row % 16 * 4 + column % 4];
  return row < 16 ? (byte & 15) - 8 : ((byte >> 4) ^ 8) - 8;
}

struct ReadQ4B32 {
  using Unit = UnitQ4B32;
  static constexpr int64_t kBlocks = 1;
  static float scale(const Unit& unit, int, int row) { return f16_to_f32(unit.scales[row]); }
  static int weight(const Unit& unit, int, int row, int column) {
    return packed_nibble(unit.nibbles, row, column);
  }
};

struct ReadQ4B32S256 {
  using Unit = UnitQ4B32S256;
  static constexpr int64_t kBlocks = 8;
  static int sub_scale(const Unit& unit, int block, int row) {
    return (unit.sub_scales[block][row % 16] >> (row < 16 ? 0 : 4)) & 15;
  }
  static float scale(const Unit& unit, int block, int row) {
    return f16_to_f32(unit.scales[row]) * static_cast<float>(sub_scale(unit, block, row));
  }
  static int weight(const Unit& unit, int block, int row, int column) {
    return packed_nibble(unit.nibbles[block], row, column);
  }
};

struct ReadQ8B32 {
  using Unit = UnitQ8B32;
  static constexpr int64_t kBlocks = 1;
  static float scale(const Unit& unit, int, int row) { return f16_to_f32(unit.scales[row]); }
  static int weight(const Unit& unit, int, int row, int column) {
    return unit.values[column / 4][row / 16][row % 16 * 4 + column % 4];
  }
};

}  // namespace midge::generic
