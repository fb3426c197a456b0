// The tokens of one sequence, and what of them the model has read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/session/kv_cache.h"

namespace midge {

/// Which longrope factors a sequence uses; without effect on models that have one set only.
enum class RopeMode {
  kAuto,   ///< short up to the original context length, long beyond (Hugging Face's rule)
  kShort,  ///< always short
  kLong,   ///< always long
};

struct SequenceOptions {
  int64_t context_length = 0;     ///< tokens, 1..model's; 0: the model's, at most 4096
  int64_t batch_rows = 512;       ///< rows of it in one pass through the layers, 1..4096
  KvType kv_type = KvType::kF16;  ///< of keys and values
  int64_t kv_page_tokens = 0;     ///< tokens of a page, a multiple of 64; 0: one page holds all
  RopeMode rope = RopeMode::kAuto;
  bool mtp = false;                        ///< reserve the MTP layer's cache
  Residency residency = Residency::kLazy;  ///< of the cache
};

/// `context_length` tokens, or for 0 what is used then. Errors: invalid_argument (not 1..model's).
Result<int64_t> resolve_context_length(const ModelConfig& config, int64_t context_length);

/// One sequence: tokens, roles, pages. Beside its pages it takes 5 bytes per token of its context;
/// all memory is taken at creation. Steps (step.h) read its tokens; nothing else here computes.
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

  /// The tokens so far. Valid until the next step or truncation.
  std::span<const int32_t> tokens() const { return tokens_; }
  int64_t length() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t context_length() const { return options_.context_length; }
  const SequenceOptions& options() const { return options_; }
  const ModelConfig& config() const { return config_; }
  /// Positions that the MTP layer has seen.
  int64_t mtp_length() const { return mtp_length_; }
  int64_t kv_bytes() const { return kv_.bytes(); }

  /// Drops all tokens from `length` on, and with them the MTP positions that saw a dropped token
  /// (mtp_length() falls to length - 1 at most). Errors: out_of_range (length > length()).
  Status truncate(int64_t length);

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
  };

  /// Adds tokens to be read. Errors, nothing changed: context_full.
  Status append(std::span<const int32_t> tokens, RowRole role);
  /// Takes the tokens from `first` on back, as if they had never been given.
  void take_back(int64_t first);
  /// The next run; it does not cross `border`, a position.
  Run next_run(int64_t border) const;
  /// The segment of tokens begin .. begin + rows - 1, at row `first_row` of a batch.
  Segment segment(int64_t first_row, int64_t begin, int64_t rows, RowRole role) const;
  /// The cache has everything before `end`.
  void set_read(int64_t end) { kv_length_ = end; }
  void set_mtp_length(int64_t length) { mtp_length_ = length; }

 private:
  Sequence(const ModelConfig& config, const SequenceOptions& options)
      : config_(config), options_(options) {}

  RopeRegime regime_for(int64_t length) const;

  const ModelConfig& config_;
  SequenceOptions options_;
  KvCache kv_;
  std::vector<int32_t> tokens_;  // capacity: context_length
  std::vector<RowRole> roles_;   // of the tokens
  int64_t kv_length_ = 0;        // leading tokens whose keys and values are in the cache ...
  RopeRegime regime_ = RopeRegime::kShort;  // ... rotated with these factors
  int64_t mtp_length_ = 0;
};

}  // namespace midge
