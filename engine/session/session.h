// One sequence of tokens being read and written by a model.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "engine/session/executor.h"
#include "engine/session/sequence.h"
#include "engine/session/step.h"

namespace midge {

/// A sequence and the executor that runs it, one step after the other. Steps allocate nothing.
/// What a step computes is a function of the tokens so far alone.
///
/// One caller at a time. Sessions of one executor share its memory for a pass: a step beside
/// another is refused.
class Session {
 public:
  /// executor and its model outlive the session. Errors: those of Sequence::create,
  /// invalid_argument (a context that is longer than the executor's).
  static Result<std::unique_ptr<Session>> create(Executor& executor,
                                                 const SequenceOptions& options);

  /// Appends tokens [n], n >= 1, and computes what `outputs` asks for. See run_step.
  Status step(std::span<const int32_t> tokens, const RowOutputs& outputs,
              RowRole role = RowRole::kPrompt);
  /// See Sequence::truncate.
  Status truncate(int64_t length) { return sequence_->truncate(length); }
  /// See Sequence::trim.
  void trim() { sequence_->trim(); }
  /// See run_mtp_step.
  Status mtp_step(std::span<const int32_t> next_tokens, const float* hidden, bool mask_first,
                  const RowOutputs& outputs);
  /// logits [rows, vocab_size] = head * hidden_normed [rows, hidden_size]: what a step gives for
  /// rows whose hidden_normed it was asked for, later and in pieces. rows: at least 1.
  /// Errors: busy.
  Status project(const float* hidden_normed, int64_t rows, float* logits);

  Sequence& sequence() { return *sequence_; }
  Executor& executor() { return executor_; }
  std::span<const int32_t> tokens() const { return sequence_->tokens(); }
  int64_t length() const { return sequence_->length(); }
  int64_t context_length() const { return sequence_->context_length(); }
  int64_t mtp_length() const { return sequence_->mtp().length; }
  const Model& model() const { return executor_.model(); }
  int64_t kv_bytes() const { return sequence_->kv_bytes(); }

  /// A flag that ends the running and later steps with `cancelled` before the next layer while it
  /// is set; may be set from a signal handler or another thread. Null: none. Outlives the session.
  void set_cancel_flag(const std::atomic<bool>* flag) { cancel_ = flag; }
  const std::atomic<bool>* cancel_flag() const { return cancel_; }

 private:
  Session(Executor& executor, std::unique_ptr<Sequence> sequence)
      : executor_(executor), sequence_(std::move(sequence)) {}

  Executor& executor_;
  std::unique_ptr<Sequence> sequence_;
  const std::atomic<bool>* cancel_ = nullptr;
};

}  // namespace midge
