#include "engine/tokenizer/bpe.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "engine/tokenizer/probing.h"

namespace midge {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;

// Up to this length repeated scans of an array on the stack beat the heap; words are shorter.
constexpr size_t kScanTokensMax = 48;

uint64_t hash_pair(const SeededHash& hash, int32_t left, int32_t right) {
  return hash.of_number((static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) |
                        static_cast<uint32_t>(right));
}

}  // namespace

Result<MergeTable> MergeTable::build(const std::vector<Merge>& merges) {
  MergeTable table;
  table.size_ = merges.size();
  table.slots_.assign(probing_slots(merges.size()), Slot());
  for (const Merge& merge : merges) {
    MIDGE_RETURN_IF_ERROR(table.insert(merge, table.slots_.own_data()));
  }
  return table;
}

Status MergeTable::insert(const Merge& merge, Slot* slots) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_pair(hash_, merge.left, merge.right) & mask;
  while (slots[slot].left >= 0) {
    const Slot& other = slots[slot];
    if (other.left == merge.left && other.right == merge.right) {
      return make_status(StatusCode::kInvalidFile, "merges %u and %u are the same pair", other.rank,
                         merge.rank);
    }
    slot = (slot + 1) & mask;
  }
  slots[slot] = {merge.left, merge.right, merge.rank, merge.result};
  return Status();
}

Result<MergeTable> MergeTable::from_slots(std::span<const MergeSlot> slots, const SeededHash& hash,
                                          int32_t ids) {
  MergeTable table;
  table.hash_ = hash;
  table.slots_ = Table<Slot>(slots);
  MIDGE_RETURN_IF_ERROR(check_probing(slots, [](const Slot& slot) { return slot.left < 0; }));
  const auto is_id = [ids](int32_t id) { return id >= 0 && id < ids; };
  for (const Slot& slot : slots) {
    if (slot.left < 0) continue;
    ++table.size_;
    if (is_id(slot.left) && is_id(slot.right) && is_id(slot.result) && slot.rank != kNoRank) {
      continue;
    }
    return make_status(StatusCode::kInvalidFile,
                       "a merge of %d and %d to %d with rank %u, expected ids below %d", slot.left,
                       slot.right, slot.result, slot.rank, ids);
  }
  if (table.size_ > kMergesMax) {
    return make_status(StatusCode::kInvalidFile, "%zu merges, the limit is %zu", table.size_,
                       kMergesMax);
  }
  return table;
}

Result<MergeTable> MergeTable::with_hash(const SeededHash& hash) const {
  std::vector<Merge> merges;
  merges.reserve(size_);
  for (const Slot& slot : slots_) {
    if (slot.left >= 0) merges.push_back({slot.left, slot.right, slot.result, slot.rank});
  }
  // The order of a table depends on its hash function: that of the pairs does not.
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  MergeTable other;
  other.hash_ = hash;
  other.size_ = size_;
  other.slots_.assign(probing_slots(size_), Slot());
  for (const Merge& merge : merges) {
    MIDGE_RETURN_IF_ERROR(other.insert(merge, other.slots_.own_data()));
  }
  MIDGE_RETURN_IF_ERROR(
      check_probing(other.slots_.span(), [](const Slot& slot) { return slot.left < 0; }));
  return other;
}

inline const MergeTable::Slot* MergeTable::find(int32_t left, int32_t right) const {
  // A plain pointer, without checked indices: the mask keeps slots inside.
  const Slot* slots = slots_.data();
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_pair(hash_, left, right) & mask;
  while (slots[slot].left >= 0) {
    if (slots[slot].left == left && slots[slot].right == right) return &slots[slot];
    slot = (slot + 1) & mask;
  }
  return nullptr;
}

void MergeTable::apply(std::vector<int32_t>* tokens, size_t begin) const {
  const size_t count = tokens->size() - begin;
  if (size_ == 0 || count < 2) return;
  if (count <= kScanTokensMax) {
    apply_by_scan(tokens, begin);
  } else {
    apply_by_heap(tokens, begin);
  }
}

void MergeTable::apply_by_scan(std::vector<int32_t>* tokens, size_t begin) const {
  int32_t* ids = tokens->data() + begin;
  size_t count = tokens->size() - begin;
  const Slot* pairs[kScanTokensMax];  // merge of ids[i], ids[i + 1]
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = find(ids[i], ids[i + 1]);
  while (true) {
    size_t best = 0;
    uint32_t best_rank = kNoRank;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (pairs[i] != nullptr && pairs[i]->rank < best_rank) {
        best = i;
        best_rank = pairs[i]->rank;
      }
    }
    if (best_rank == kNoRank) break;
    ids[best] = pairs[best]->result;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      ids[i] = ids[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best > 0) pairs[best - 1] = find(ids[best - 1], ids[best]);
    pairs[best] = best + 1 < count ? find(ids[best], ids[best + 1]) : nullptr;
  }
  tokens->resize(begin + count);
}

void MergeTable::apply_by_heap(std::vector<int32_t>* tokens, size_t begin) const {
  // A doubly linked list of the tokens that are left, and a heap of (rank, position) of its pairs.
  // An entry is stale when the pair at its position has another rank by now.
  int32_t* ids = tokens->data() + begin;
  const auto count = static_cast<uint32_t>(tokens->size() - begin);
  struct Node {
    uint32_t previous;
    uint32_t next;
    uint32_t rank;  // of the pair that starts here, kNoRank: none
    int32_t result;
  };
  std::vector<Node> nodes(count);
  const auto link = [&](uint32_t i) {
    Node& node = nodes[i];
    const Slot* slot = node.next < count ? find(ids[i], ids[node.next]) : nullptr;
    node.rank = slot != nullptr ? slot->rank : kNoRank;
    node.result = slot != nullptr ? slot->result : -1;
  };
  std::vector<uint64_t> entries;       // rank in the upper half, position in the lower
  entries.reserve(2 * size_t{count});  // a merge takes one and adds two: no copies as it grows
  for (uint32_t i = 0; i < count; ++i) {
    nodes[i].previous = i - 1;  // wraps to a value >= count for the first
    nodes[i].next = i + 1;
    link(i);
    if (nodes[i].rank != kNoRank) entries.push_back((uint64_t{nodes[i].rank} << 32) | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap(std::greater<>(),
                                                                            std::move(entries));
  while (!heap.empty()) {
    const auto rank = static_cast<uint32_t>(heap.top() >> 32);
    const auto i = static_cast<uint32_t>(heap.top());
    heap.pop();
    if (nodes[i].rank != rank) continue;
    const uint32_t removed = nodes[i].next;
    ids[i] = nodes[i].result;
    nodes[i].next = nodes[removed].next;
    nodes[removed].rank = kNoRank;
    if (nodes[i].next < count) nodes[nodes[i].next].previous = i;
    const uint32_t previous = nodes[i].previous;
    for (const uint32_t changed : {previous, i}) {
      if (changed >= count) continue;
      link(changed);
      if (nodes[changed].rank != kNoRank) {
        heap.push((uint64_t{nodes[changed].rank} << 32) | changed);
      }
    }
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i = nodes[i].next) ids[kept++] = ids[i];
  tokens->resize(begin + kept);
}

}  // namespace midge
