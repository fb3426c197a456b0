// New tokens of one or more sequences through the model, in passes that they share.
#pragma once

#include <atomic>
#include <span>

#include "engine/session/executor.h"
#include "engine/session/sequence.h"

namespace midge {

/// Errors: out_of_range, for the first id that the model has no embedding of.
Status check_token_ids(const ModelConfig& config, std::span<const int32_t> tokens);

/// New tokens of one sequence and what is asked of them.
struct SequenceStep {
  Sequence* sequence = nullptr;
  std::span<const int32_t> tokens;  ///< at least 1; not kept after the step
  /// Whether the tokens were read or written by the model; kept with them for when they are
  /// recomputed.
  RowRole role = RowRole::kPrompt;
  RowOutputs outputs;                         ///< rows count from the first of `tokens`
  const std::atomic<bool>* cancel = nullptr;  ///< ends this step early while set; may be null
  Status status;                              ///< set by run_step
};

/// Appends the tokens of every step to its sequence and computes what is asked for. A pass through
/// the layers takes rows of all sequences that have some left, generated ones first, and reads each
/// weight once for them. What comes out for a sequence does not depend on the others.
///
/// Each step succeeds or fails alone, with its sequence unchanged: out_of_range (ids, rows),
/// invalid_argument (logits without a place, a sequence twice), context_full, no_pages (a pool that
/// others use), cancelled. All of them fail with `busy` while the executor runs something else.
/// Allocates nothing.
void run_step(Executor& executor, std::span<SequenceStep> steps);

/// Tokens that a sequence was given and has not read, in one pass.
struct PassPart {
  Sequence* sequence = nullptr;
  Sequence::Run run;                          ///< of next_run, or its beginning; its pages are held
  RowOutputs outputs;                         ///< rows count from run.begin
  const std::atomic<bool>* cancel = nullptr;  ///< ends this part early while set; may be null
  bool done = false;  ///< set: the rows are read; otherwise they were cancelled
};

/// One pass through the layers, for whoever decides by himself what is in it. At most
/// executor.rows_max() rows, generated ones first; each sequence once. What comes out for a part
/// does not depend on the others. Allocates nothing. Errors, nothing changed: busy, out_of_range.
Status run_pass(Executor& executor, std::span<PassPart> parts);

/// Positions of one sequence for the MTP layer, which reads the token after each of them.
struct MtpPart {
  Sequence* sequence = nullptr;
  int64_t begin = 0;  ///< of the first one; its page begins the layer's, or later
  std::span<const int32_t> next_tokens;  ///< one for each position, at least 1
  RowRole role = RowRole::kGenerated;    ///< of all of them: which arithmetic
  RowOutputs outputs;                    ///< rows count from begin
};

/// One pass through the MTP layer. input.hidden has the rows of all parts, in their order; the
/// pages of their positions are held (Sequence::hold_alone). What the sequences know as their
/// mtp().length does not change. At most executor.rows_max() rows, generated ones first. Allocates
/// nothing. Errors: busy, out_of_range.
Status run_mtp_pass(Executor& executor, std::span<const MtpPart> parts, const MtpInput& input);

/// Runs the MTP layer for n positions of `sequence` that follow those of the previous run_mtp_step
/// (or 0): hidden [n, hidden_size] are the model's hidden states there, next_tokens [n] the tokens
/// after them. mask_first: see mtp_forward. Rows of `outputs` count the positions of this call.
/// Errors, nothing changed: unsupported (no MTP layer), out_of_range (ids, rows, or positions past
/// the tokens of the sequence), cancelled, busy.
Status run_mtp_step(Executor& executor, Sequence& sequence, std::span<const int32_t> next_tokens,
                    const float* hidden, bool mask_first, const RowOutputs& outputs,
                    const std::atomic<bool>* cancel);

}  // namespace midge
