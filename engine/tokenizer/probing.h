// What the two hash tables of a vocabulary share: linear probing in a power of two of slots, at
// most half of them in use.
#pragma once

#include <cstddef>
#include <span>

#include "engine/core/status.h"

namespace midge {

/// Slots for `count` keys: a power of two, at most half full.
inline size_t probing_slots(size_t count) {
  size_t slots = 16;
  while (slots < 2 * count) slots *= 2;
  return slots;
}

/// Most slots in use one after the other. A hash function that its keys' maker did not know leaves
/// runs of some dozens in the largest tables.
inline constexpr size_t kProbesMax = 1024;

/// Checks a table that comes from a file: looking up anything ends, and soon. Errors (invalid_file,
/// without the file's name): not a power of two, longer runs than kProbesMax.
template <typename Slot, typename IsFree>
Status check_probing(std::span<const Slot> slots, const IsFree& is_free) {
  if (slots.empty() || (slots.size() & (slots.size() - 1)) != 0) {
    return make_status(StatusCode::kInvalidFile, "a hash table of %zu slots, expected a power of 2",
                       slots.size());
  }
  // The end of the table goes on at its start: the slots before the first free one count there.
  size_t run = 0;
  for (size_t i = 0; i < 2 * slots.size(); ++i) {
    run = is_free(slots[i & (slots.size() - 1)]) ? 0 : run + 1;
    if (run > kProbesMax || run >= slots.size()) {
      return make_status(StatusCode::kInvalidFile,
                         "a hash table with more than %zu slots in use one after the other",
                         run - 1);
    }
  }
  return Status();
}

}  // namespace midge
