#include "engine/session/prefix_cache.h"

#include <algorithm>

#include "engine/core/check.h"

namespace midge {

PrefixCache::PrefixCache(KvPool& pool) : pool_(pool), page_tokens_(pool.layout().page_tokens) {
  // Nodes have pages that differ: a page holds the tokens of one path.
  const auto count = static_cast<size_t>(kRopeRegimeCount + pool.page_count());
  nodes_.resize(count);
  tokens_.resize(count * static_cast<size_t>(page_tokens_));
  roles_.resize(tokens_.size());
  for (auto node = static_cast<int32_t>(count); node-- > kRopeRegimeCount;) {
    at(node).next = unused_;
    unused_ = node;
  }
}

PrefixCache::~PrefixCache() {
  for (const Node& node : nodes_) {
    if (node.page != kNone) pool_.give_back(node.page);
  }
}

// The child that has most in common with tokens [at most a page].
PrefixCache::Match PrefixCache::best_child(int32_t parent, std::span<const int32_t> tokens,
                                           std::span<const RowRole> roles) const {
  Match best;
  for (int32_t child = at(parent).first_child; child != kNone; child = at(child).next) {
    const int64_t most = std::min<int64_t>(at(child).tokens, static_cast<int64_t>(tokens.size()));
    const int32_t* known = tokens_.data() + child * page_tokens_;
    const RowRole* known_roles = roles_.data() + child * page_tokens_;
    int64_t alike = 0;
    while (alike < most && known[alike] == tokens[static_cast<size_t>(alike)] &&
           known_roles[alike] == roles[static_cast<size_t>(alike)]) {
      ++alike;
    }
    if (alike > best.tokens) best = {child, alike};
  }
  return best;
}

int32_t PrefixCache::add_node(int32_t parent) {
  MIDGE_DCHECK(unused_ != kNone, "more nodes than pages");
  const int32_t node = unused_;
  unused_ = at(node).next;
  at(node) = {.parent = parent, .next = at(parent).first_child};
  at(parent).first_child = node;
  ++page_count_;
  return node;
}

void PrefixCache::fill(int32_t node, int32_t page, std::span<const int32_t> tokens,
                       std::span<const RowRole> roles, int64_t mtp_begin) {
  pool_.share(page);
  if (at(node).page != kNone) pool_.give_back(at(node).page);
  at(node).page = page;
  at(node).tokens = static_cast<int32_t>(tokens.size());
  at(node).mtp_begin = mtp_begin;
  std::copy(tokens.begin(), tokens.end(), tokens_.begin() + node * page_tokens_);
  std::copy(roles.begin(), roles.end(), roles_.begin() + node * page_tokens_);
}

void PrefixCache::remove(int32_t node) {
  int32_t* place = &at(at(node).parent).first_child;
  while (*place != node) place = &at(*place).next;
  *place = at(node).next;
  pool_.give_back(at(node).page);
  at(node) = {.next = unused_};
  unused_ = node;
  --page_count_;
}

void PrefixCache::keep(const Beginning& beginning) {
  ++uses_;
  auto parent = static_cast<int32_t>(beginning.regime);
  const auto length = static_cast<int64_t>(beginning.tokens.size());
  for (int64_t first = 0; first < length; first += page_tokens_) {
    const auto count = static_cast<size_t>(std::min(page_tokens_, length - first));
    const auto tokens = beginning.tokens.subspan(static_cast<size_t>(first), count);
    const auto roles = beginning.roles.subspan(static_cast<size_t>(first), count);
    const int32_t page = beginning.page_ids[static_cast<size_t>(first / page_tokens_)];
    const Match match = best_child(parent, tokens, roles);
    // The layer is behind by the tokens of the last step.
    const bool has_mtp = beginning.mtp.begin <= first &&
                         beginning.mtp.length > beginning.mtp.begin &&
                         beginning.mtp.length + kMtpGapMax >= first + static_cast<int64_t>(count);
    const int64_t mtp_begin = has_mtp ? beginning.mtp.begin : -1;
    int32_t node = match.node;
    if (node == kNone || match.tokens < std::min<int64_t>(at(node).tokens, int64_t(count))) {
      node = add_node(parent);  // another way goes on from here
      fill(node, page, tokens, roles, mtp_begin);
    } else if (at(node).tokens < static_cast<int32_t>(count)) {
      fill(node, page, tokens, roles, mtp_begin);  // the same way, further
    } else if (has_mtp && at(node).mtp_begin < 0 &&
               at(node).tokens == static_cast<int32_t>(count) &&
               pool_.holders(at(node).page) == 1) {
      fill(node, page, tokens, roles, mtp_begin);  // the same, with more in it
    }
    at(node).last_use = uses_;
    parent = node;
  }
}

PrefixCache::Known PrefixCache::find(RopeRegime regime, std::span<const int32_t> tokens,
                                     std::span<const RowRole> roles) const {
  auto parent = static_cast<int32_t>(regime);
  Known known;
  for (;;) {
    const auto done = static_cast<size_t>(known.tokens);
    const size_t count = std::min(static_cast<size_t>(page_tokens_), tokens.size() - done);
    const Match match = best_child(parent, tokens.subspan(done, count), roles.subspan(done, count));
    if (match.tokens == 0) return known;
    known.page_ids.push_back(at(match.node).page);
    known.mtp.take_over(at(match.node).mtp_begin, known.tokens, known.tokens + match.tokens);
    known.tokens += match.tokens;
    if (match.tokens < page_tokens_) return known;
    parent = match.node;
  }
}

int64_t PrefixCache::adopt(Sequence& sequence, std::span<const int32_t> tokens,
                           std::span<const RowRole> roles, int64_t tokens_max) {
  MIDGE_DCHECK(&sequence.pool() == &pool_ && sequence.length() == 0, "not an empty sequence of it");
  ++uses_;
  const auto usable =
      std::min(static_cast<int64_t>(std::max<size_t>(tokens.size(), 1) - 1), tokens_max);
  sequence.expect_length(static_cast<int64_t>(tokens.size()));
  auto parent = static_cast<int32_t>(sequence.regime());
  int64_t length = 0;
  for (;;) {
    const auto count = static_cast<size_t>(std::min(page_tokens_, usable - length));
    const auto next = tokens.subspan(static_cast<size_t>(length), count);
    const auto next_roles = roles.subspan(static_cast<size_t>(length), count);
    const Match match = best_child(parent, next, next_roles);
    if (match.tokens == 0) return length;
    at(match.node).last_use = uses_;
    int32_t page = at(match.node).page;
    if (match.tokens == page_tokens_) {
      pool_.share(page);
    } else {
      if (pool_.free_count() == 0) return length;
      const int32_t copy = pool_.take();
      pool_.copy(page, copy, match.tokens);
      page = copy;
    }
    const auto alike = static_cast<size_t>(match.tokens);
    sequence.take_over(page, next.first(alike), next_roles.first(alike), at(match.node).mtp_begin);
    length += match.tokens;
    if (match.tokens < page_tokens_) return length;
    parent = match.node;
  }
}

// A page goes after those behind it. Who holds one of these may have another page with the same
// tokens in the place of this one.
int64_t PrefixCache::evictable_count() {
  for (Node& node : nodes_) node.has_held = false;
  for (const Node& node : nodes_) {
    if (node.page == kNone || pool_.holders(node.page) == 1) continue;
    for (int32_t before = node.parent; before >= kRopeRegimeCount && !at(before).has_held;
         before = at(before).parent) {
      at(before).has_held = true;
    }
  }
  return std::count_if(nodes_.begin(), nodes_.end(), [this](const Node& node) {
    return node.page != kNone && !node.has_held && pool_.holders(node.page) == 1;
  });
}

void PrefixCache::evict(int64_t pages) {
  while (pool_.free_count() < pages) {
    int32_t oldest = kNone;
    for (auto node = int32_t{kRopeRegimeCount}; node < static_cast<int32_t>(nodes_.size());
         ++node) {
      const Node& n = at(node);
      if (n.page == kNone || n.first_child != kNone || pool_.holders(n.page) > 1) continue;
      if (oldest == kNone || n.last_use < at(oldest).last_use) oldest = node;
    }
    if (oldest == kNone) return;
    remove(oldest);
    ++evicted_;
  }
}

}  // namespace midge
