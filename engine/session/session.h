// One sequence of tokens being read and written by a model.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "engine/decoder/decoder.h"
#include "engine/session/executor.h"
#include "engine/session/kv_cache.h"

namespace midge {

/// Which longrope factors a sequence uses; without effect on models that have one set only.
enum class RopeMode {
  kAuto,   ///< short up to the original context length, long beyond (Hugging Face's rule)
  kShort,  ///< always short
  kLong,   ///< always long
};

struct SessionOptions {
  int64_t context_length = 0;         ///< tokens, 1..model's; 0: the model's, at most 4096 and
                                      ///< what default_memory() holds (decoder/limits.h)
  int64_t batch_rows = 512;           ///< rows of one pass through the layers, 1..4096
  Encoding kv_type = Encoding::kF16;  ///< kF16 or kF32
  RopeMode rope = RopeMode::kAuto;
  bool mtp = false;  ///< reserve the MTP layer's cache
};

/// What a step is asked for beside reading its tokens. Rows count the tokens of the step.
struct StepOutputs {
  std::span<const int32_t> logits_rows;  ///< ascending rows
  float* logits = nullptr;               ///< [logits_rows, vocab_size]
  float* hidden = nullptr;               ///< [n, hidden_size] before the final norm, or null
  float* hidden_normed = nullptr;        ///< [n, hidden_size] after the final norm, or null
};

/// A sequence with its KV cache and scratch memory, all taken at creation: steps allocate nothing.
///
/// What a step computes is a function of the tokens so far alone. With RopeMode::kAuto the cache is
/// therefore recomputed once when the sequence grows past the model's original context length (and
/// when it is truncated to below it and continued).
///
/// One caller at a time. Sessions of one executor must not step at the same time.
class Session {
 public:
  /// executor and its model outlive the session. Errors: invalid_argument, out_of_memory.
  static Result<std::unique_ptr<Session>> create(Executor& executor, const SessionOptions& options);

  /// Appends tokens [n], n >= 1, and computes what `outputs` asks for. role: whether they were read
  /// or written by the model, see RowRole; kept with the tokens for when they are recomputed.
  /// Errors, with the sequence unchanged: out_of_range (ids, rows), context_full, cancelled.
  Status step(std::span<const int32_t> tokens, const StepOutputs& outputs,
              RowRole role = RowRole::kPrompt);

  /// Drops all tokens from `length` on, and with them the MTP positions that saw a dropped token
  /// (mtp_length() falls to length - 1 at most). Errors: out_of_range (length > length()).
  Status truncate(int64_t length);

  /// Runs the MTP layer for n positions that follow those of the previous mtp_step (or 0): hidden
  /// [n, hidden_size] are the model's hidden states there, next_tokens [n] the tokens after them.
  /// mask_first: see mtp_forward. Rows of `outputs` count the positions of this call.
  /// Errors, nothing changed: unsupported (no MTP layer), out_of_range (ids, rows, or positions
  /// past the tokens of the sequence), cancelled.
  Status mtp_step(std::span<const int32_t> next_tokens, const float* hidden, bool mask_first,
                  const StepOutputs& outputs);

  /// logits [rows, vocab_size] = head * hidden_normed [rows, hidden_size]: what a step gives for
  /// rows whose hidden_normed it was asked for, later and in pieces. rows: at least 1.
  void project(const float* hidden_normed, int64_t rows, float* logits);

  /// The tokens so far. Valid until the next call of step or truncate.
  std::span<const int32_t> tokens() const { return tokens_; }
  int64_t length() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t context_length() const { return options_.context_length; }
  /// Positions that the MTP layer has seen.
  int64_t mtp_length() const { return mtp_length_; }
  const Model& model() const { return executor_.model(); }

  int64_t kv_bytes() const { return kv_.bytes(); }
  int64_t scratch_bytes() const { return scratch_.bytes(); }

  /// A flag that ends the running and later steps with `cancelled` before the next layer while it
  /// is set; may be set from a signal handler or another thread. Null: none. Outlives the session.
  void set_cancel_flag(const std::atomic<bool>* flag) { cancel_ = flag; }

 private:
  Session(Executor& executor, const SessionOptions& options)
      : executor_(executor), options_(options) {}

  RopeRegime regime_for(int64_t length) const;
  Status check_step(std::span<const int32_t> tokens, const StepOutputs& outputs) const;
  // Runs tokens_ from kv_length_ to the end; outputs count rows from `first`.
  Status run_pending(int64_t first, const StepOutputs& outputs);

  // The part of a step's outputs that concerns positions start..end-1 of rows that begin at
  // position `first`. next_logits counts the logits rows already handed out.
  DecoderOutputs outputs_of_pass(const StepOutputs& outputs, int64_t first, int64_t start,
                                 int64_t end, size_t* next_logits);

  Executor& executor_;
  SessionOptions options_;
  KvCache kv_;
  DecoderScratch scratch_;
  std::vector<int32_t> tokens_;        // capacity: context_length
  std::vector<RowRole> roles_;         // of the tokens
  std::vector<int32_t> rows_of_pass_;  // [batch_rows]
  int64_t kv_length_ = 0;              // leading tokens whose keys and values are in the cache ...
  RopeRegime regime_ = RopeRegime::kShort;  // ... rotated with these factors
  int64_t mtp_length_ = 0;
  const std::atomic<bool>* cancel_ = nullptr;
};

}  // namespace midge
