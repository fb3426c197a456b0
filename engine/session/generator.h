// The loop from a prompt to text: prefill, sample, decode, stop.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session/sampler.h"
#include "engine/session/step.h"
#include "engine/session/stop_matcher.h"
#include "engine/tokenizer/stream_decoder.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

struct GenerateOptions {
  int64_t tokens_max = 256;               ///< at least 1
  std::vector<int32_t> stop_ids;          ///< end the output; not part of its text
  std::vector<std::string> stop_strings;  ///< end the output; not part of its text
  bool special_text = false;              ///< special tokens are part of the text
  SamplerOptions sampler;
};

enum class FinishReason { kStopToken, kStopString, kTokensMax, kContextFull, kCancelled };

/// "stop_token", "stop_string", "tokens_max", "context_full", "cancelled".
const char* finish_reason_name(FinishReason reason);

/// Says which tokens may come next, for example by a grammar. Called where the generation is driven
/// from, never by two threads at once.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  /// Sets to 0 what may not come next. allowed: [vocab_size], nonzero for every token.
  virtual void restrict(std::span<uint8_t> allowed) = 0;
  /// The next token is this one, which was allowed.
  virtual void accept(int32_t token) = 0;
  /// Takes the last accepted tokens back. Not called: drafts are accepted once they are drawn.
  virtual void rollback(int64_t tokens) = 0;
};

/// Most drafts of a sequence in one step.
inline constexpr int kDraftsMax = 7;
static_assert(1 + kDraftsMax == kMtpGapMax);

struct GeneratedToken {
  int32_t token = 0;
  size_t text_offset = 0;        ///< bytes of the output's text before its own
  float logprob = 0;             ///< set if options.sampler.logprobs > 0
  size_t first_alternative = 0;  ///< of GenerateResult::alternatives
  size_t alternative_count = 0;
};

/// What became of the drafts of a generation.
struct DraftCounts {
  int64_t steps = 0;                           ///< that read generated tokens
  std::array<int64_t, kDraftsMax> read = {};   ///< by their place behind the last token
  std::array<int64_t, kDraftsMax> drawn = {};  ///< of these, those that were drawn

  int64_t all_read() const;
  int64_t all_drawn() const;
  /// Tokens that a step gave; 1 without drafts, 0 without steps.
  double tokens_per_step() const;
};

/// What a generation did.
struct GenerateResult {
  FinishReason reason = FinishReason::kTokensMax;
  std::vector<GeneratedToken> tokens;      ///< the stop token included
  std::vector<TokenLogprob> alternatives;  ///< of all tokens, best first
  std::string text;                        ///< what was shown; filled by generate() alone
  int64_t prompt_tokens = 0;
  DraftCounts drafts;
  double prompt_seconds = 0;  ///< from the start to the first logits
  double decode_seconds = 0;  ///< from the first to the last token

  /// The options.sampler.logprobs best tokens beside one that was taken.
  std::span<const TokenLogprob> alternatives_of(const GeneratedToken& token) const {
    return std::span(alternatives).subspan(token.first_alternative, token.alternative_count);
  }
  /// Tokens after the first per second of decode_seconds; 0 if there are none.
  double decode_tokens_per_second() const;
  double prompt_tokens_per_second() const;
};

/// Ids that `tokenizer` has a token for, among the rows of a vocabulary of vocab_size.
std::vector<uint8_t> allowed_tokens(const Tokenizer& tokenizer, int64_t vocab_size);

/// Gets text in pieces of whole characters as it is made; returning false cancels.
using OnText = std::function<bool(std::string_view)>;

/// One request on its way: prompt, then token after token until something ends the output. Who
/// drives it runs its steps, alone or beside those of others:
///
///   while (!generation->done()) {
///     SequenceStep step = generation->next_step(logits);
///     run_step(executor, {&step, 1});
///     generation->stepped(step.status);                 // ends it unless ok
///     const float* row = logits;
///     do {
///       if (generation->done()) break;
///       generation->sample(row, workspace);
///       status = generation->accept();
///       row += vocab_size;
///     } while (generation->goes_on());
///   }
///
/// Drafts are guesses of the tokens that will be drawn. A step reads them behind the last token, so
/// that the logits of several positions come from one pass. Each position is drawn as without them,
/// and the next row counts only if its draft is what was drawn. So the tokens are the same,
/// whatever the drafts are.
///
/// The penalties see the whole sequence. At the end the sequence holds prompt and output except for
/// the last token, which was never fed to the model. After create() nothing here allocates, but for
/// pieces of text of more than 256 bytes. One caller at a time, except for sample().
class Generation {
 public:
  /// Adds nothing to the sequence yet. prompt: [n], n >= 1, copied. allowed: see Sampler::create.
  /// sequence, tokenizer, allowed: outlive the generation. mask may be null.
  /// Errors: those of Sampler::create; out_of_range (tokens_max, an empty prompt).
  static Result<std::unique_ptr<Generation>> create(Sequence& sequence, const Tokenizer& tokenizer,
                                                    std::span<const uint8_t> allowed,
                                                    std::span<const int32_t> prompt,
                                                    const GenerateOptions& options, OnText on_text,
                                                    std::unique_ptr<TokenMask> mask = nullptr);

  bool done() const { return done_; }
  /// Why a step failed, other than by being cancelled or without room in the context.
  const Status& status() const { return status_; }
  /// Valid once it is done.
  const GenerateResult& result() const { return result_; }
  GenerateResult take_result() { return std::move(result_); }

  /// How many drafts may follow the token that was drawn last: what is left of tokens_max and of
  /// the context, and none across the position where longrope changes its factors.
  int64_t draft_room() const;
  /// Guesses of the tokens after the one that was drawn last, which next_step() reads with it. At
  /// most draft_room() are taken, and kDraftsMax.
  void propose(std::span<const int32_t> drafts);
  /// Forgets drafts that were not drawn, and takes them back from the sequence.
  void drop_drafts();
  std::span<const int32_t> drafts() const { return std::span(unread_).subspan(1, draft_count_); }
  /// Tokens that the next step reads behind the prompt: the last one and its drafts.
  std::span<const int32_t> unread() const { return std::span(unread_).first(1 + draft_count_); }
  /// Drafts that the last step read.
  int64_t read_drafts() const { return read_drafts_; }
  /// Of these, how many were drawn so far.
  int64_t drawn_drafts() const { return static_cast<int64_t>(drawn_drafts_); }

  /// What is to be read next; logits [rows, vocab_size] of its last token, and of its drafts, go to
  /// `logits`. Valid until stepped().
  SequenceStep next_step(float* logits);
  /// Takes note of how the step went; asks the mask what may come next.
  void stepped(const Status& status);
  /// Draws the next token from a row of logits of the step. Touches this generation and the
  /// workspace alone: those of several may run at the same time.
  void sample(const float* logits, SamplerWorkspace& workspace);
  /// Looks whether the drawn token ends the output, and shows its text. Errors: those of
  /// StreamDecoder::push.
  Status accept();
  /// True if the last token was a draft: sample() comes next, with the next row.
  bool goes_on() const { return goes_on_; }
  /// Ends it early; shows what was held back.
  void cancel() { end_between(FinishReason::kCancelled); }
  /// What there was to show last. Valid until the next call.
  std::string_view shown() const { return shown_; }
  /// The logarithm of the probability of `token` after a row of the prompt with these logits, and
  /// its alternatives, which are added to *alternatives.
  GeneratedToken score(const float* logits, int32_t token, std::vector<TokenLogprob>* alternatives,
                       SamplerWorkspace& workspace) const;

 private:
  Generation(Sequence& sequence, const Tokenizer& tokenizer, const GenerateOptions& options,
             Sampler sampler, bool continues_text, OnText on_text);

  Status accept_token();
  void look_at_drafts();
  void end(FinishReason reason);
  void end_between(FinishReason reason);
  // Adds the text of the last token to what is shown. True if a stop string is complete.
  Result<bool> add_text();
  bool show();
  void fail(const Status& status);
  void ask_mask();

  using Clock = std::chrono::steady_clock;

  Sequence& sequence_;
  GenerateOptions options_;
  Sampler sampler_;
  StreamDecoder decoder_;
  StopMatcher matcher_;
  OnText on_text_;
  std::vector<int32_t> prompt_;                      // empty once it is read
  std::array<int32_t, 1 + kDraftsMax> rows_ = {};    // of the next step, whose logits are wanted
  int32_t token_ = 0;                                // the last one drawn
  std::array<int32_t, 1 + kDraftsMax> unread_ = {};  // the last one of a step, then its drafts
  size_t draft_count_ = 0;
  int64_t read_drafts_ = 0;
  size_t drawn_drafts_ = 0;
  int64_t drafts_begin_ = 0;  // their place in the sequence
  int64_t position_ = 0;      // of the token that is drawn next, or was drawn last and is not read
  bool goes_on_ = false;
  bool done_ = false;
  Status status_;
  GenerateResult result_;
  std::unique_ptr<TokenMask> mask_;
  std::span<const uint8_t> tokens_;  // those that a mask may allow
  std::vector<uint8_t> allowed_;     // those that it allows next; empty without one
  std::string piece_;                // of the current token
  std::string shown_;
  size_t text_bytes_ = 0;  // that the decoder gave
  Clock::time_point start_;
  Clock::time_point first_token_;
};

/// A generation and the logits [vocab_size] that its next token is drawn from.
struct Draw {
  Generation* generation = nullptr;
  const float* logits = nullptr;
};

/// Draws the next token of every generation, spread over the workers of the team: each has a
/// workspace. Several may draw from the same logits. Allocates nothing. Errors: busy.
Status sample_together(Executor& executor, std::span<const Draw> draws);

}  // namespace midge
