// The tokens of one sequence, and what of them the model has read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/session/kv_pool.h"

namespace midge {

/// Which longrope factors a sequence uses; without effect on models that have one set only.
enum class RopeMode {
  kAuto,   ///< short up to the original context length, long beyond (Hugging Face's rule)
  kShort,  ///< always short
  kLong,   ///< always long
};

struct SequenceOptions {
  int64_t context_length = 0;  ///< tokens, 1..model's; 0: the model's, at most 4096
  int64_t batch_rows = 512;    ///< rows of it in one pass through the layers, 1..4096
  RopeMode rope = RopeMode::kAuto;

  // Of the pages of a sequence that has its own.
  KvType kv_type = KvType::kF16;           ///< of keys and values
  int64_t kv_page_tokens = 0;              ///< a multiple of 64; 0: one page holds all
  bool mtp = false;                        ///< room for the MTP layer
  Residency residency = Residency::kLazy;  ///< of the pages
};

/// Positions that the MTP layer may not have read although it goes on behind them: those of a
/// step's tokens, the last one and its drafts. They hold what was there before, which costs a draft
/// at most.
inline constexpr int64_t kMtpGapMax = 8;

/// Positions that the MTP layer has read: begin .. length - 1. begin is the first position of a
/// page; earlier ones do not exist for the layer.
struct MtpPositions {
  int64_t begin = 0;
  int64_t length = 0;

  /// Tokens `before` .. `behind` - 1 are taken over with their page, whose positions the layer
  /// counted from page_begin on; negative: it has not read them. As positions count from the
  /// layer's beginning, it goes on where they go on, and begins anew where they began.
  void take_over(int64_t page_begin, int64_t before, int64_t behind) {
    const bool goes_on = length == before && begin == page_begin;
    if (page_begin < 0 || !(goes_on || page_begin == before)) return;
    begin = page_begin;
    length = behind;
  }
};

/// What a pool holds for one sequence with pages of its own. Errors: invalid_argument.
Result<KvPoolOptions> own_pages(const ModelConfig& config, const SequenceOptions& options);

/// `context_length` tokens, or for 0 what is used then. Errors: invalid_argument (not 1..model's).
Result<int64_t> resolve_context_length(const ModelConfig& config, int64_t context_length);

/// One sequence: tokens, roles, pages. Beside its pages it takes 5 bytes per token of its context,
/// and 12 per page; all memory is taken at creation. Steps (step.h) read its tokens; nothing else
/// here computes.
///
/// Sequences of one pool take pages from it as they grow, and give them back as they are truncated
/// or end. A copy shares them; whoever writes first copies the page that is written to.
///
/// With RopeMode::kAuto what is in the cache counts for nothing once the sequence grows past the
/// model's original context length (and when it is truncated to below it and continued): the next
/// step reads all tokens again.
///
/// One caller at a time.
class Sequence {
 public:
  /// `config` outlives the sequence. Errors: invalid_argument, unsupported (no MTP layer),
  /// out_of_memory.
  static Result<std::unique_ptr<Sequence>> create(const ModelConfig& config,
                                                  const SequenceOptions& options);
  /// Takes its pages from `pool`, which outlives it; options of pages do not count. The pool's
  /// config. Errors: invalid_argument.
  static Result<std::unique_ptr<Sequence>> create(const ModelConfig& config,
                                                  const SequenceOptions& options, KvPool& pool);
  ~Sequence();
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  /// Lets this empty sequence begin with the tokens of another one of its pool and go on by itself.
  /// Shares pages, takes none, and no other memory. Errors, nothing changed: invalid_argument (not
  /// empty, of another pool), context_full.
  Status copy_from(const Sequence& other);

  /// The tokens so far. Valid until the next step or truncation.
  std::span<const int32_t> tokens() const { return tokens_; }
  std::span<const RowRole> roles() const { return roles_; }
  int64_t length() const { return static_cast<int64_t>(tokens_.size()); }
  /// Leading tokens whose keys and values are in its pages.
  int64_t read_length() const { return kv_length_; }
  /// Of what is in its pages.
  RopeRegime regime() const { return regime_; }
  /// In the pool.
  std::span<const int32_t> page_ids() const { return page_ids_; }
  int64_t context_length() const { return options_.context_length; }
  const SequenceOptions& options() const { return options_; }
  const ModelConfig& config() const { return config_; }
  const MtpPositions& mtp() const { return mtp_; }
  bool has_mtp() const { return pool_->layout().layers > config_.layer_count; }
  const KvPool& pool() const { return *pool_; }
  /// Of the pages it has; of all that it can have, where they are its own.
  int64_t kv_bytes() const;

  /// How many tokens may follow the first `length` ones within the context and with their factors.
  int64_t room_after(int64_t length) const;

  /// Drops all tokens from `length` on, and with them the MTP positions that saw a dropped token
  /// (mtp().length falls to length - 1 at most). Errors: out_of_range (length > length()).
  Status truncate(int64_t length);

  /// Says that the empty sequence will have `length` tokens at least: with RopeMode::kAuto its
  /// factors are those of that length from the first token on, so that nothing is read again.
  void expect_length(int64_t length);

  /// Appends tokens whose keys and values are in `page`, of which the caller is a holder and the
  /// sequence is one in its place from now on. They begin a page; what was read before ends there.
  /// With the sequence's factors. mtp_begin: the MTP layer has read them too, or most of them, from
  /// this beginning on; negative: it has not.
  void take_over(int32_t page, std::span<const int32_t> tokens, std::span<const RowRole> roles,
                 int64_t mtp_begin = -1);

  /// Gives memory of the cache that holds no token back to the system; it is taken again when the
  /// sequence grows. Locked memory stays.
  void trim() const;

  // For steps.

  /// A run of tokens of one role that the model has not read.
  struct Run {
    int64_t begin = 0;
    int64_t end = 0;
    RowRole role = RowRole::kPrompt;

    bool empty() const { return begin == end; }
    int64_t rows() const { return end - begin; }
  };

  /// Adds tokens to be read, and holds their pages. Errors, nothing changed: context_full,
  /// no_pages.
  Status append(std::span<const int32_t> tokens, RowRole role);
  /// Adds tokens to be read; who reads them holds their pages before, see hold. Errors, nothing
  /// changed: context_full.
  Status give(std::span<const int32_t> tokens, RowRole role);
  /// Free pages that hold() would take.
  int64_t missing_pages(const Run& run) const { return missing_pages(run.begin, run.end); }
  /// Holds the pages of a run, which is to be read next. Errors, nothing changed: no_pages.
  Status hold(const Run& run) { return hold_alone(run.begin, run.end, run.begin); }
  /// Gives all pages back; its tokens are to be read again.
  void forget();
  /// Takes the tokens from `first` on back, as if they had never been given.
  void take_back(int64_t first);
  /// The next run; it does not cross `border`, a position.
  Run next_run(int64_t border) const;
  /// The segment of tokens begin .. begin + rows - 1, at row `first_row` of a batch.
  Segment segment(int64_t first_row, int64_t begin, int64_t rows, RowRole role) const;
  /// The cache has everything before `end`.
  void set_read(int64_t end) { kv_length_ = end; }
  void set_mtp_length(int64_t length) { mtp_.length = length; }
  /// The same of the MTP layer. begin: from mtp().begin on.
  Segment mtp_segment(int64_t first_row, int64_t begin, int64_t rows, RowRole role) const;
  /// The MTP layer begins anew: at the first page that begins at `position` or later.
  void restart_mtp(int64_t position);
  /// Takes pages up to token end - 1, and makes those from token `begin` on its own, which may be
  /// written then: of the tokens before `used` they keep what is there. Errors, nothing changed:
  /// no_pages.
  Status hold_alone(int64_t begin, int64_t end, int64_t used);
  /// Free pages that it would take.
  int64_t missing_pages(int64_t begin, int64_t end) const;

 private:
  Sequence(const ModelConfig& config, const SequenceOptions& options)
      : config_(config), options_(options) {}

  RopeRegime regime_for(int64_t length) const;
  Status check_room(std::span<const int32_t> tokens) const;
  Status no_pages(int64_t missing) const;
  void put_page(int32_t id);
  void drop_pages(int64_t length);

  const ModelConfig& config_;
  SequenceOptions options_;
  std::unique_ptr<KvPool> own_pool_;  // null: the pool is someone else's
  KvPool* pool_ = nullptr;
  std::vector<int32_t> page_ids_;  // capacity: those of context_length
  std::vector<uint8_t*> pages_;    // of these
  std::vector<int32_t> tokens_;    // capacity: context_length
  std::vector<RowRole> roles_;     // of the tokens
  int64_t kv_length_ = 0;          // leading tokens whose keys and values are in the cache ...
  RopeRegime regime_ = RopeRegime::kShort;  // ... rotated with these factors
  MtpPositions mtp_;
  int64_t expected_ = 0;  // tokens that there will be at least
};

}  // namespace midge
