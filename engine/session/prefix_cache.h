// Beginnings of sequences that have been read, for sequences that begin alike.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/session/kv_pool.h"
#include "engine/session/sequence.h"

namespace midge {

/// A tree of pages: the path to a page is all tokens before it. What is found was compared token by
/// token and role by role, so keys and values that are taken over are those that reading would
/// give, bit for bit. Beginnings of the two sets of longrope's factors are kept apart.
/// It is one of the holders of its pages. All its memory is taken at creation: 5 bytes for each
/// token of the pool, 40 for each page. Not for several threads.
class PrefixCache {
 public:
  /// The pool outlives it.
  explicit PrefixCache(KvPool& pool);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// Keeps what `sequence`, which is of the pool, has read; best when it has ended, as pages that
  /// it goes on writing to are copied. What is known already is not kept twice.
  void keep(const Sequence& sequence) {
    keep({sequence.regime(), sequence.tokens().first(size_t(sequence.read_length())),
          sequence.roles(), sequence.page_ids(), sequence.mtp()});
  }

  /// Tokens that were read, and the pages that hold them.
  struct Beginning {
    RopeRegime regime = RopeRegime::kShort;
    std::span<const int32_t> tokens;
    std::span<const RowRole> roles;     ///< at least as many
    std::span<const int32_t> page_ids;  ///< as many as they take, or more
    MtpPositions mtp;
  };
  void keep(const Beginning& beginning);

  /// What is known of a beginning. The pages are the cache's until the caller holds them too.
  struct Known {
    int64_t tokens = 0;
    std::vector<int32_t> page_ids;
    MtpPositions mtp;
  };
  /// The longest one of these tokens.
  Known find(RopeRegime regime, std::span<const int32_t> tokens,
             std::span<const RowRole> roles) const;

  /// Lets an empty sequence of the pool begin with as many of the tokens as are known with these
  /// roles, but for the last one, which is read for what it predicts. Whole pages are shared; of
  /// one that is known in part, what is alike is copied, if a page is free. Returns how many
  /// tokens, tokens_max at most; the sequence's next step reads those that follow. roles: as many
  /// as tokens.
  /// The MTP layer goes on where all pages from some one on have its positions. The last of them
  /// may be those of other tokens to come, or of none: that costs a draft at most.
  int64_t adopt(Sequence& sequence, std::span<const int32_t> tokens, std::span<const RowRole> roles,
                int64_t tokens_max = INT64_MAX);

  /// Lets go of pages, those used longest ago first, until `pages` of the pool are free or no page
  /// would become free any more.
  void evict(int64_t pages);

  int64_t page_count() const { return page_count_; }
  /// Pages that evict() let go of.
  int64_t evicted_count() const { return evicted_; }
  /// Pages that evict() can make free.
  int64_t evictable_count();

 private:
  static constexpr int32_t kNone = -1;

  struct Node {
    int32_t page = kNone;  // kNone: the node is not in use
    int32_t parent = kNone;
    int32_t first_child = kNone;
    int32_t next = kNone;    // sibling; or the next node that is not in use
    int32_t tokens = 0;      // in the page
    bool has_held = false;   // behind it is a page that others hold; while evictable_count() counts
    int64_t mtp_begin = -1;  // of the MTP layer, which has read them; negative: it has not
    int64_t last_use = 0;
  };

  // Node `node` and the tokens of a sequence from some page on.
  struct Match {
    int32_t node = kNone;
    int64_t tokens = 0;  // that are alike
  };

  Match best_child(int32_t parent, std::span<const int32_t> tokens,
                   std::span<const RowRole> roles) const;
  int32_t add_node(int32_t parent);
  void fill(int32_t node, int32_t page, std::span<const int32_t> tokens,
            std::span<const RowRole> roles, int64_t mtp_begin);
  void remove(int32_t node);
  Node& at(int32_t node) { return nodes_[static_cast<size_t>(node)]; }
  const Node& at(int32_t node) const { return nodes_[static_cast<size_t>(node)]; }

  KvPool& pool_;
  int64_t page_tokens_;
  std::vector<Node> nodes_;      // the roots first, one for each regime
  std::vector<int32_t> tokens_;  // [nodes, page_tokens]
  std::vector<RowRole> roles_;   // of these
  int32_t unused_ = kNone;       // the first node that is not in use
  int64_t page_count_ = 0;
  int64_t evicted_ = 0;
  int64_t uses_ = 0;
};

}  // namespace midge
