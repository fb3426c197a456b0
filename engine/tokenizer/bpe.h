// Byte pair encoding by ranked merges: in a piece, the adjacent pair whose merge has the lowest
// rank is replaced by its result, the leftmost one first, until no pair has a merge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/seeded_hash.h"
#include "engine/core/status.h"
#include "engine/core/table.h"

namespace midge {

/// Most merges of a table; about ten times the largest one in use.
inline constexpr size_t kMergesMax = size_t{1} << 21;

struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
  uint32_t rank = 0;  ///< below 2^32 - 1; of pairs with the same rank the leftmost comes first
};

/// A slot of the hash table of merges.
struct MergeSlot {
  int32_t left = -1;  ///< -1: free
  int32_t right = -1;
  uint32_t rank = 0;
  int32_t result = -1;
};

/// A set of merges; ids are not negative. Immutable, shareable between threads.
class MergeTable {
 public:
  MergeTable() = default;

  /// Errors (invalid_file, without the file's name): a pair that comes twice.
  static Result<MergeTable> build(const std::vector<Merge>& merges);

  /// A set that reads the slots in place; they are in order by `hash`. Ids are below `ids`. Errors
  /// (invalid_file, without the file's name): what `build` would never make.
  static Result<MergeTable> from_slots(std::span<const MergeSlot> slots, const SeededHash& hash,
                                       int32_t ids);
  /// The same merges, found by another hash function. Errors: as from_slots.
  Result<MergeTable> with_hash(const SeededHash& hash) const;

  size_t size() const { return size_; }
  /// Valid as long as the table.
  std::span<const MergeSlot> slots() const { return slots_.span(); }

  /// Applies the merges to the piece (*tokens)[begin..], in place. Time O(n log n) for n tokens.
  void apply(std::vector<int32_t>* tokens, size_t begin) const;

 private:
  using Slot = MergeSlot;

  Status insert(const Merge& merge, Slot* slots) const;
  const Slot* find(int32_t left, int32_t right) const;
  void apply_by_scan(std::vector<int32_t>* tokens, size_t begin) const;
  void apply_by_heap(std::vector<int32_t>* tokens, size_t begin) const;

  SeededHash hash_;
  Table<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace midge
