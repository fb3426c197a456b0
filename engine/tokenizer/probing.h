// What the two hash tables of a vocabulary share.
#pragma once

#include <cstddef>

namespace midge {

/// Slots for `count` keys: a power of two, at most half full.
inline size_t probing_slots(size_t count) {
  size_t slots = 16;
  while (slots < 2 * count) slots *= 2;
  return slots;
}

}  // namespace midge
