// Where the bytes of a panel lie, for every PanelOrder.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace midge::generic {

/// Of row 0..31 and column 0..255, 0..kPanelBytes - 1.
inline int64_t panel_offset(PanelOrder order, int64_t row, int64_t column) {
  const int64_t octet = row / 8 * 8 * kPanelColumns;
  switch (order) {
    case PanelOrder::kQuads16:
      return row / 4 * 4 * kPanelColumns + column / 16 * 64 + row % 4 * 16 + column % 16;
    case PanelOrder::kOctets4:
      return octet + column / 8 * 64 + row / 4 % 2 * 32 + column / 4 % 2 * 16 + row % 4 * 4 +
             column % 4;
    case PanelOrder::kOctets8: return octet + column / 8 * 64 + row % 8 * 8 + column % 8;
    case PanelOrder::kGroups4:
    case PanelOrder::kGroups4Up: return column / 4 * 128 + row * 4 + column % 4;
    case PanelOrder::kNone:
    case PanelOrder::kRows: break;
  }
  return row * kPanelColumns + column;
}

/// What is added to every value.
inline int panel_bias(PanelOrder order) { return order == PanelOrder::kGroups4Up ? 128 : 0; }

/// panel = the values of `rows`, a panel of PanelOrder::kRows, in another order.
inline void order_panel(const int8_t* rows, PanelOrder order, int8_t* panel) {
  for (int64_t row = 0; row < kTileRows; ++row) {
    for (int64_t column = 0; column < kPanelColumns; ++column) {
      panel[panel_offset(order, row, column)] =
          static_cast<int8_t>(rows[row * kPanelColumns + column] + panel_bias(order));
    }
  }
}

}  // namespace midge::generic
