#include "engine/session/step.h"

#include <algorithm>
#include <utility>

#include "engine/core/check.h"

namespace midge {
namespace {

Status check_rows(const ModelConfig& config, std::span<const int32_t> tokens,
                  const RowOutputs& outputs) {
  if (tokens.empty()) return make_status(StatusCode::kOutOfRange, "a step of no tokens");
  MIDGE_RETURN_IF_ERROR(check_token_ids(config, tokens));
  if (!outputs.logits_rows.empty() && outputs.logits == nullptr) {
    return make_status(StatusCode::kInvalidArgument, "logits are asked for without a place");
  }
  int64_t previous = -1;
  for (const int32_t row : outputs.logits_rows) {
    if (row <= previous || row >= static_cast<int64_t>(tokens.size())) {
      return make_status(StatusCode::kOutOfRange,
                         "logits of row %d, expected ascending rows below %zu", row, tokens.size());
    }
    previous = row;
  }
  return Status();
}

Status cancelled_status() { return make_status(StatusCode::kCancelled, "cancelled"); }

bool is_set(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}

// The part of a step's outputs that rows begin .. begin + count - 1 of the step make.
RowOutputs outputs_of(const RowOutputs& outputs, int64_t begin, int64_t count,
                      const ModelConfig& config) {
  const auto first =
      std::lower_bound(outputs.logits_rows.begin(), outputs.logits_rows.end(), begin);
  const auto last = std::lower_bound(first, outputs.logits_rows.end(), begin + count);
  RowOutputs part;
  part.first_row = begin;
  part.logits_rows = {first, last};
  if (!part.logits_rows.empty()) {
    part.logits = outputs.logits + (first - outputs.logits_rows.begin()) * config.vocab_size;
  }
  const auto rows_of = [&](float* rows) {
    return rows == nullptr ? nullptr : rows + begin * config.hidden_size;
  };
  part.hidden = rows_of(outputs.hidden);
  part.hidden_normed = rows_of(outputs.hidden_normed);
  return part;
}

// A pass of an executor that is ours.
void pass(Executor& executor, std::span<PassPart> parts) {
  StepBuffers& b = executor.step_buffers();
  b.clear_batch();
  for (const PassPart& part : parts) {
    const auto first_row = static_cast<int64_t>(b.tokens.size());
    MIDGE_DCHECK(part.run.begin == part.sequence->read_length(), "not what is read next");
    Segment segment =
        part.sequence->segment(first_row, part.run.begin, part.run.rows(), part.run.role);
    segment.cancel = part.cancel;
    b.segments.push_back(segment);
    const auto tokens = part.sequence->tokens().subspan(static_cast<size_t>(part.run.begin),
                                                        static_cast<size_t>(part.run.rows()));
    b.tokens.insert(b.tokens.end(), tokens.begin(), tokens.end());
    b.outputs.push_back(part.outputs);
  }
  const Batch batch = {b.tokens, b.segments, b.outputs};
  const bool done = decoder_forward(executor.engine(), batch, executor.scratch());
  for (PassPart& part : parts) {
    part.done = done && !is_set(part.cancel);
    if (part.done) part.sequence->set_read(part.run.end);
  }
}

// rows_of(part) gives its number of rows and their role.
template <typename Part, typename RowsOf>
Status check_pass(const Executor& executor, std::span<Part> parts, const RowsOf& rows_of) {
  int64_t rows = 0;
  bool in_order = true;
  RowRole last = RowRole::kGenerated;
  for (const auto& part : parts) {
    const auto [count, role] = rows_of(part);
    rows += count;
    in_order = in_order && (last == RowRole::kGenerated || role == RowRole::kPrompt);
    last = role;
  }
  if (rows >= 1 && rows <= executor.rows_max() && in_order) return Status();
  return make_status(StatusCode::kOutOfRange,
                     "a pass of %lld rows, expected 1..%lld, those of generated tokens first",
                     static_cast<long long>(rows), static_cast<long long>(executor.rows_max()));
}

/// The passes of one call of run_step().
class StepRun {
 public:
  StepRun(Executor& executor, std::span<SequenceStep> steps)
      : executor_(executor), b_(executor.step_buffers()), steps_(steps) {}

  void run() {
    b_.clear();
    for (SequenceStep& step : steps_) {
      step.status = begin(step);
      if (step.status.ok()) {
        b_.active.push_back({&step, step.sequence->length() - int64_t(step.tokens.size())});
      }
    }
    while (collect_pass()) run_parts();
  }

 private:
  using Active = StepBuffers::Active;

  Status begin(SequenceStep& step) {
    MIDGE_DCHECK(step.sequence->context_length() <= executor_.context_max(), "%lld tokens",
                 static_cast<long long>(step.sequence->context_length()));
    MIDGE_RETURN_IF_ERROR(check_rows(step.sequence->config(), step.tokens, step.outputs));
    for (const Active& other : b_.active) {
      if (other.step->sequence == step.sequence) {
        return make_status(StatusCode::kInvalidArgument, "a sequence twice in one step");
      }
    }
    if (is_set(step.cancel)) return cancelled_status();
    return step.sequence->append(step.tokens, step.role);
  }

  // Fills the pass with what the sequences have not read; false if that is nothing.
  bool collect_pass() {
    b_.clear_pass();
    int64_t rows = 0;
    for (const RowRole role : {RowRole::kGenerated, RowRole::kPrompt}) {
      for (const Active& active : b_.active) {
        if (!active.step->status.ok()) continue;
        Sequence::Run run = active.step->sequence->next_run(active.first);
        if (run.empty() || run.role != role) continue;
        run.end = std::min(run.end, run.begin + executor_.rows_max() - rows);
        if (run.empty()) continue;
        rows += run.rows();
        b_.active_of_part.push_back(&active);
        b_.parts.push_back(part_of(active, run));
      }
    }
    return !b_.parts.empty();
  }

  static PassPart part_of(const Active& active, const Sequence::Run& run) {
    const SequenceStep& step = *active.step;
    PassPart part;
    part.sequence = step.sequence;
    part.run = run;
    part.cancel = step.cancel;
    if (run.begin >= active.first) {
      part.outputs =
          outputs_of(step.outputs, run.begin - active.first, run.rows(), step.sequence->config());
    }
    return part;
  }

  void run_parts() {
    pass(executor_, b_.parts);
    for (size_t i = 0; i < b_.parts.size(); ++i) {
      if (b_.parts[i].done) continue;
      const Active& active = *b_.active_of_part[i];
      active.step->status = cancelled_status();
      active.step->sequence->take_back(active.first);
    }
  }

  Executor& executor_;
  StepBuffers& b_;
  std::span<SequenceStep> steps_;
};

}  // namespace

Status check_token_ids(const ModelConfig& config, std::span<const int32_t> tokens) {
  for (const int32_t token : tokens) {
    if (token >= 0 && token < config.vocab_size) continue;
    return make_status(StatusCode::kOutOfRange, "token id %d, expected 0..%lld", token,
                       static_cast<long long>(config.vocab_size - 1));
  }
  return Status();
}

Status run_pass(Executor& executor, std::span<PassPart> parts) {
  const ExecutorUse use(executor);
  MIDGE_RETURN_IF_ERROR(use.status());
  MIDGE_RETURN_IF_ERROR(check_pass(executor, parts, [](const PassPart& part) {
    return std::pair(part.run.rows(), part.run.role);
  }));
  pass(executor, parts);
  return Status();
}

Status run_mtp_pass(Executor& executor, std::span<const MtpPart> parts, const MtpInput& input) {
  const ExecutorUse use(executor);
  MIDGE_RETURN_IF_ERROR(use.status());
  MIDGE_RETURN_IF_ERROR(check_pass(executor, parts, [](const MtpPart& part) {
    return std::pair(static_cast<int64_t>(part.next_tokens.size()), part.role);
  }));
  StepBuffers& b = executor.step_buffers();
  b.clear_batch();
  for (const MtpPart& part : parts) {
    b.segments.push_back(
        part.sequence->mtp_segment(static_cast<int64_t>(b.tokens.size()), part.begin,
                                   static_cast<int64_t>(part.next_tokens.size()), part.role));
    b.tokens.insert(b.tokens.end(), part.next_tokens.begin(), part.next_tokens.end());
    b.outputs.push_back(part.outputs);
  }
  const Batch batch = {b.tokens, b.segments, b.outputs};
  const bool done = mtp_forward(executor.engine(), batch, input, executor.scratch());
  MIDGE_DCHECK(done, "nothing cancels it");
  return Status();
}

void run_step(Executor& executor, std::span<SequenceStep> steps) {
  const ExecutorUse use(executor);
  if (!use.status().ok()) {
    for (SequenceStep& step : steps) step.status = use.status();
    return;
  }
  if (static_cast<int64_t>(steps.size()) > executor.rows_max()) {
    for (SequenceStep& step : steps) {
      step.status =
          make_status(StatusCode::kOutOfRange, "%zu sequences in a step, expected 1..%lld",
                      steps.size(), static_cast<long long>(executor.rows_max()));
    }
    return;
  }
  StepRun(executor, steps).run();
}

Status run_mtp_step(Executor& executor, Sequence& sequence, std::span<const int32_t> next_tokens,
                    const float* hidden, bool mask_first, const RowOutputs& outputs,
                    const std::atomic<bool>* cancel) {
  if (!sequence.has_mtp()) {
    return make_status(StatusCode::kUnsupported, "the session was created without MTP");
  }
  const ModelConfig& config = sequence.config();
  MIDGE_RETURN_IF_ERROR(check_rows(config, next_tokens, outputs));
  if (hidden == nullptr) {
    return make_status(StatusCode::kInvalidArgument, "MTP positions without hidden states");
  }
  const int64_t first = sequence.mtp().length;
  const int64_t last = first + static_cast<int64_t>(next_tokens.size());
  if (last > sequence.length()) {
    return make_status(StatusCode::kOutOfRange,
                       "MTP positions up to %lld, the sequence has %lld tokens",
                       static_cast<long long>(last), static_cast<long long>(sequence.length()));
  }
  const ExecutorUse use(executor);
  MIDGE_RETURN_IF_ERROR(use.status());
  MIDGE_RETURN_IF_ERROR(sequence.hold_alone(first, last, sequence.length()));
  const int64_t piece = std::min(sequence.options().batch_rows, executor.rows_max());
  for (int64_t start = first; start < last; start += piece) {
    const int64_t rows = std::min(piece, last - start);
    Segment segment = sequence.mtp_segment(0, start, rows, RowRole::kGenerated);
    segment.cancel = cancel;
    const RowOutputs part = outputs_of(outputs, start - first, rows, config);
    const Batch batch = {
        next_tokens.subspan(static_cast<size_t>(start - first), static_cast<size_t>(rows)),
        {&segment, 1},
        {&part, 1}};
    const MtpInput input = {.hidden = hidden + (start - first) * config.hidden_size,
                            .mask_first = mask_first};
    if (!mtp_forward(executor.engine(), batch, input, executor.scratch())) {
      return cancelled_status();
    }
  }
  sequence.set_mtp_length(last);
  return Status();
}

}  // namespace midge
