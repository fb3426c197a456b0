#include "engine/session/generator.h"

#include <algorithm>
#include <numeric>

#include "engine/core/check.h"
#include "engine/core/seconds.h"

namespace midge {
namespace {

// Longer than the text of almost every token, so that the strings that hold it keep their memory.
constexpr size_t kPieceBytes = 256;

}  // namespace

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStopToken: return "stop_token";
    case FinishReason::kStopString: return "stop_string";
    case FinishReason::kTokensMax: return "tokens_max";
    case FinishReason::kContextFull: return "context_full";
    case FinishReason::kCancelled: return "cancelled";
  }
  return "unknown";
}

int64_t DraftCounts::all_read() const {
  return std::accumulate(read.begin(), read.end(), int64_t{0});
}

int64_t DraftCounts::all_drawn() const {
  return std::accumulate(drawn.begin(), drawn.end(), int64_t{0});
}

double DraftCounts::tokens_per_step() const {
  if (steps == 0) return 0;
  return 1 + static_cast<double>(all_drawn()) / static_cast<double>(steps);
}

double GenerateResult::decode_tokens_per_second() const {
  if (tokens.size() < 2 || decode_seconds <= 0) return 0;
  return static_cast<double>(tokens.size() - 1) / decode_seconds;
}

double GenerateResult::prompt_tokens_per_second() const {
  return prompt_seconds <= 0 ? 0 : static_cast<double>(prompt_tokens) / prompt_seconds;
}

std::vector<uint8_t> allowed_tokens(const Tokenizer& tokenizer, int64_t vocab_size) {
  std::vector<uint8_t> allowed(static_cast<size_t>(vocab_size));
  for (int64_t i = 0; i < vocab_size; ++i) {
    allowed[static_cast<size_t>(i)] = tokenizer.has_token(static_cast<int32_t>(i)) ? 1 : 0;
  }
  return allowed;
}

Result<std::unique_ptr<Generation>> Generation::create(
    Sequence& sequence, const Tokenizer& tokenizer, std::span<const uint8_t> allowed,
    std::span<const int32_t> prompt, const GenerateOptions& options, OnText on_text,
    std::unique_ptr<TokenMask> mask) {
  if (options.tokens_max < 1) {
    return make_status(StatusCode::kOutOfRange, "%lld tokens to generate, expected at least 1",
                       static_cast<long long>(options.tokens_max));
  }
  if (prompt.empty()) return make_status(StatusCode::kOutOfRange, "a prompt of no tokens");
  std::vector<uint8_t> masked;
  if (mask != nullptr) masked.assign(allowed.begin(), allowed.end());
  MIDGE_ASSIGN_OR_RETURN(Sampler sampler,
                         Sampler::create(options.sampler, allowed, sequence.context_length() + 1));
  if (mask != nullptr) sampler.set_mask(masked);
  const TokenKind last_kind = tokenizer.token_kind(prompt.back());
  const bool continues_text = last_kind == TokenKind::kNormal || last_kind == TokenKind::kByte;
  std::unique_ptr<Generation> generation(new Generation(
      sequence, tokenizer, options, std::move(sampler), continues_text, std::move(on_text)));
  generation->mask_ = std::move(mask);
  generation->tokens_ = allowed;
  generation->allowed_ = std::move(masked);  // its memory, which the sampler looks at, stays
  generation->prompt_.assign(prompt.begin(), prompt.end());
  generation->result_.prompt_tokens = static_cast<int64_t>(prompt.size());
  return generation;
}

Generation::Generation(Sequence& sequence, const Tokenizer& tokenizer,
                       const GenerateOptions& options, Sampler sampler, bool continues_text,
                       OnText on_text)
    : sequence_(sequence),
      options_(options),
      sampler_(std::move(sampler)),
      decoder_(&tokenizer, !options.special_text, continues_text),
      matcher_(options.stop_strings),
      on_text_(std::move(on_text)),
      start_(Clock::now()) {
  // Room for everything the loop produces.
  const int64_t room = sequence.context_length() - sequence.length();
  const auto tokens = static_cast<size_t>(std::clamp<int64_t>(room, 1, options.tokens_max));
  result_.tokens.reserve(tokens);
  result_.alternatives.reserve(tokens * static_cast<size_t>(options.sampler.logprobs));
  piece_.reserve(kPieceBytes);
  shown_.reserve(kPieceBytes);
}

int64_t Generation::draft_room() const {
  if (done_ || !prompt_.empty()) return 0;
  // After the last draft one more is drawn.
  const int64_t wanted = options_.tokens_max - static_cast<int64_t>(result_.tokens.size()) - 1;
  return std::clamp<int64_t>(std::min(wanted, sequence_.room_after(position_ + 1)), 0, kDraftsMax);
}

void Generation::propose(std::span<const int32_t> drafts) {
  MIDGE_DCHECK(draft_count_ == 0, "%zu drafts already", draft_count_);
  draft_count_ = std::min(drafts.size(), static_cast<size_t>(draft_room()));
  drawn_drafts_ = 0;
  drafts_begin_ = position_ + 1;
  std::copy_n(drafts.begin(), draft_count_, unread_.begin() + 1);
}

void Generation::drop_drafts() {
  goes_on_ = false;
  const int64_t kept = drafts_begin_ + static_cast<int64_t>(drawn_drafts_);
  if (draft_count_ > 0 && sequence_.length() > kept) sequence_.take_back(kept);
  draft_count_ = 0;
}

// Whether the token that was drawn is the next draft, so that its row of logits counts.
void Generation::look_at_drafts() {
  if (!done_ && drawn_drafts_ < draft_count_ && drafts()[drawn_drafts_] == token_) {
    ++result_.drafts.drawn[drawn_drafts_++];
    ++position_;
    goes_on_ = true;
    if (mask_ != nullptr) ask_mask();
    return;
  }
  drop_drafts();
  unread_[0] = token_;
}

SequenceStep Generation::next_step(float* logits) {
  MIDGE_DCHECK(!done_);
  const bool is_prompt = !prompt_.empty();
  SequenceStep step;
  step.sequence = &sequence_;
  step.tokens = is_prompt ? std::span<const int32_t>(prompt_) : unread();
  step.role = is_prompt ? RowRole::kPrompt : RowRole::kGenerated;
  const size_t rows = is_prompt ? 1 : step.tokens.size();
  const auto first = static_cast<int32_t>(step.tokens.size() - rows);
  for (size_t i = 0; i < rows; ++i) rows_[i] = first + static_cast<int32_t>(i);
  step.outputs.logits_rows = std::span(rows_).first(rows);
  step.outputs.logits = logits;
  return step;
}

void Generation::stepped(const Status& status) {
  if (status.ok()) {
    if (!prompt_.empty()) {
      // The whole sequence: what it held before, and the prompt.
      sampler_.observe_prompt(sequence_.tokens());
      prompt_.clear();
      position_ = sequence_.length();
      result_.prompt_seconds = seconds_between(start_, Clock::now());
    } else {
      ++position_;
      ++result_.drafts.steps;
      for (size_t i = 0; i < draft_count_; ++i) ++result_.drafts.read[i];
    }
    read_drafts_ = static_cast<int64_t>(draft_count_);
    if (mask_ != nullptr) ask_mask();
    return;
  }
  // A prompt that does not fit, or is cancelled, has given nothing: that is an error.
  if (!prompt_.empty()) {
    fail(status);
  } else if (status.code() == StatusCode::kContextFull) {
    end_between(FinishReason::kContextFull);
  } else if (status.code() == StatusCode::kCancelled) {
    end_between(FinishReason::kCancelled);
  } else {
    fail(status);
  }
}

void Generation::fail(const Status& status) {
  drop_drafts();
  status_ = status;
  done_ = true;
}

void Generation::ask_mask() {
  std::copy(tokens_.begin(), tokens_.end(), allowed_.begin());
  mask_->restrict(allowed_);
  const auto may_come = [this](size_t id) { return allowed_[id] != 0 && tokens_[id] != 0; };
  bool any = false;
  for (size_t id = 0; id < allowed_.size(); ++id) {
    allowed_[id] = may_come(id) ? 1 : 0;
    any = any || allowed_[id] != 0;
  }
  if (any) return;
  fail(make_status(StatusCode::kInvalidArgument,
                   "the token mask allows no token after %zu of the output",
                   result_.tokens.size()));
}

GeneratedToken Generation::score(const float* logits, int32_t token,
                                 std::vector<TokenLogprob>* alternatives,
                                 SamplerWorkspace& workspace) const {
  GeneratedToken scored;
  scored.token = token;
  scored.first_alternative = alternatives->size();
  TokenLogprob chosen = {token, 0};
  alternatives->resize(alternatives->size() + static_cast<size_t>(options_.sampler.logprobs));
  const int32_t count = sampler_.logprobs(
      logits, &chosen, std::span(*alternatives).subspan(scored.first_alternative), workspace);
  scored.alternative_count = static_cast<size_t>(count);
  alternatives->resize(scored.first_alternative + scored.alternative_count);
  scored.logprob = chosen.logprob;
  return scored;
}

void Generation::sample(const float* logits, SamplerWorkspace& workspace) {
  GeneratedToken generated;
  generated.token = sampler_.sample(logits, static_cast<uint64_t>(position_), workspace);
  if (options_.sampler.logprobs > 0) {
    generated = score(logits, generated.token, &result_.alternatives, workspace);
  }
  token_ = generated.token;
  result_.tokens.push_back(generated);
  sampler_.observe_output(token_);
  const auto now = Clock::now();
  if (result_.tokens.size() == 1) first_token_ = now;
  result_.decode_seconds = seconds_between(first_token_, now);
}

Status Generation::accept() {
  goes_on_ = false;
  const Status status = accept_token();
  if (status.ok()) {
    look_at_drafts();
  } else {
    drop_drafts();
  }
  return status;
}

Status Generation::accept_token() {
  shown_.clear();
  result_.tokens.back().text_offset = text_bytes_ + decoder_.held_bytes();
  if (mask_ != nullptr) mask_->accept(token_);
  if (std::find(options_.stop_ids.begin(), options_.stop_ids.end(), token_) !=
      options_.stop_ids.end()) {
    end(FinishReason::kStopToken);
    show();
    return Status();
  }
  MIDGE_ASSIGN_OR_RETURN(const bool stopped, add_text());
  if (stopped) {  // what was held back is part of the stop string
    result_.reason = FinishReason::kStopString;
    done_ = true;
  } else if (static_cast<int64_t>(result_.tokens.size()) == options_.tokens_max) {
    end(FinishReason::kTokensMax);
  }
  const bool keep_on = show();
  if (!keep_on && !done_) {
    result_.reason = FinishReason::kCancelled;
    done_ = true;
  }
  return Status();
}

// Not by a token.
void Generation::end_between(FinishReason reason) {
  drop_drafts();
  shown_.clear();
  end(reason);
  show();
}

Result<bool> Generation::add_text() {
  piece_.clear();
  MIDGE_RETURN_IF_ERROR(decoder_.push(token_, &piece_));
  text_bytes_ += piece_.size();
  return matcher_.push(piece_, &shown_);
}

bool Generation::show() {
  if (shown_.empty()) return true;
  return on_text_ == nullptr || on_text_(shown_);
}

// What is held back comes behind what is shown.
void Generation::end(FinishReason reason) {
  piece_.clear();
  decoder_.flush(&piece_);
  text_bytes_ += piece_.size();
  if (!matcher_.push(piece_, &shown_)) matcher_.flush(&shown_);
  result_.reason = reason;
  done_ = true;
}

Status sample_together(Executor& executor, std::span<const Draw> draws) {
  const ExecutorUse use(executor);
  MIDGE_RETURN_IF_ERROR(use.status());
  executor.team().run([&](const Worker& worker) {
    worker.for_each(static_cast<int64_t>(draws.size()), [&](int64_t i) {
      const Draw& draw = draws[static_cast<size_t>(i)];
      draw.generation->sample(draw.logits, executor.sampler_workspace(worker.index()));
    });
  });
  return Status();
}

}  // namespace midge
