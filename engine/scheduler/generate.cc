#include "engine/scheduler/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "engine/core/check.h"
#include "engine/core/seconds.h"

namespace midge {
namespace {

/// A generation and its passes.
class LoneRequest {
 public:
  LoneRequest(Session& session, Generation& generation, Speculation* speculation)
      : executor_(session.executor()),
        sequence_(session.sequence()),
        cancel_(session.cancel_flag()),
        generation_(generation),
        speculation_(speculation) {}

  /// To its end.
  Status run() {
    if (speculation_ != nullptr) {
      MIDGE_ASSIGN_OR_RETURN(
          state_, DraftState::create(speculation_->options(), sequence_.context_length()));
    }
    const SequenceStep prompt = generation_.next_step(nullptr);
    const Status given = sequence_.append(prompt.tokens, prompt.role);
    if (!given.ok()) generation_.stepped(given);
    while (!generation_.done()) {
      const Status status = read();
      generation_.stepped(status);
      MIDGE_RETURN_IF_ERROR(draw());
      const bool is_step = status.ok() && turn_.role == RowRole::kGenerated;
      if (speculation_ != nullptr && is_step) speculation_->note(*state_, generation_);
      if (!generation_.done()) MIDGE_RETURN_IF_ERROR(go_on());
    }
    return generation_.status();
  }

 private:
  using Clock = std::chrono::steady_clock;

  // The tokens of a step, in as many passes as they take.
  Status read() {
    const SequenceStep step = generation_.next_step(executor_.logits(0));
    const int64_t first = sequence_.length() - static_cast<int64_t>(step.tokens.size());
    for (;;) {
      PassPart part;
      part.sequence = &sequence_;
      part.run = sequence_.next_run(first);
      part.run.end = std::min(part.run.end, part.run.begin + executor_.rows_max());
      part.cancel = cancel_;
      const bool is_last = part.run.end == sequence_.length();
      if (is_last) {
        part.outputs = step.outputs;
        part.outputs.first_row = part.run.begin - first;
      }
      const Status status = run_part(part);
      if (!status.ok()) {
        sequence_.take_back(first);
        return status;
      }
      turn_.begin = part.run.begin;
      turn_.end = part.run.end;
      turn_.role = part.run.role;
      if (is_last) return Status();
      turn_.generation = nullptr;
      MIDGE_RETURN_IF_ERROR(follow());
    }
  }

  Status run_part(PassPart& part) {
    if (state_.has_value()) speculation_->ask_for_hidden(*state_, 0, &part.outputs);
    const Clock::time_point start = Clock::now();
    MIDGE_RETURN_IF_ERROR(run_pass(executor_, {&part, 1}));
    if (!part.done) return make_status(StatusCode::kCancelled, "cancelled");
    if (speculation_ != nullptr && part.run.role == RowRole::kGenerated) {
      speculation_->note_step(part.run.rows(), seconds_between(start, Clock::now()));
    }
    return Status();
  }

  // As many tokens as the step has rows for.
  Status draw() {
    const float* row = executor_.logits(0);
    for (bool more = !generation_.done(); more; more = generation_.goes_on()) {
      generation_.sample(row, executor_.sampler_workspace(0));
      MIDGE_RETURN_IF_ERROR(generation_.accept());
      row += executor_.model().config().vocab_size;
    }
    return Status();
  }

  // Gives what was drawn last to the sequence, with drafts.
  Status go_on() {
    const Status given = sequence_.append(generation_.unread(), RowRole::kGenerated);
    if (!given.ok()) {
      generation_.stepped(given);
      return Status();
    }
    turn_.generation = &generation_;
    turn_.end = sequence_.length() - 1;
    MIDGE_RETURN_IF_ERROR(follow());
    // Where there are no pages for them, guesses are left out.
    const Status drafted = sequence_.append(generation_.drafts(), RowRole::kGenerated);
    if (!drafted.ok()) generation_.drop_drafts();
    return Status();
  }

  Status follow() {
    if (speculation_ == nullptr) return Status();
    turn_.sequence = &sequence_;
    turn_.state = &*state_;
    return speculation_->follow({&turn_, 1}, draft_rows_max());
  }

  int64_t draft_rows_max() const {
    return std::min(
               {executor_.rows_max(), executor_.logit_rows_max(), sequence_.options().batch_rows}) -
           1;
  }

  Executor& executor_;
  Sequence& sequence_;
  const std::atomic<bool>* cancel_;
  Generation& generation_;
  Speculation* speculation_;
  std::optional<DraftState> state_;
  Speculation::Turn turn_;
};

}  // namespace

Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer,
                                std::span<const uint8_t> allowed, std::span<const int32_t> prompt,
                                const GenerateOptions& options, const OnText& on_text,
                                Speculation* speculation) {
  std::string text;
  const auto keep_text = [&](std::string_view piece) {
    text += piece;
    return on_text == nullptr || on_text(piece);
  };
  MIDGE_RETURN_IF_ERROR(check_token_ids(session.model().config(), prompt));
  MIDGE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Generation> generation,
      Generation::create(session.sequence(), tokenizer, allowed, prompt, options, keep_text));
  MIDGE_RETURN_IF_ERROR(LoneRequest(session, *generation, speculation).run());
  GenerateResult result = generation->take_result();
  result.text = std::move(text);
  return result;
}

}  // namespace midge
