#include "engine/session/generator.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "engine/session/stop_matcher.h"
#include "engine/tokenizer/stream_decoder.h"

namespace midge {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double>(end - start).count();
}

// Output of one call, from token to shown text.
class TextStream {
 public:
  // continues_text: the prompt ends with text that the output goes on with.
  TextStream(const Tokenizer& tokenizer, bool continues_text, const GenerateOptions& options,
             const std::function<bool(std::string_view)>& on_text, std::string* text)
      : decoder_(&tokenizer, !options.special_text, continues_text),
        matcher_(options.stop_strings),
        on_text_(on_text),
        text_(text) {
    piece_.reserve(kPieceBytes);
    shown_.reserve(kPieceBytes);
  }

  // Sets *stopped if a stop string is complete, *keep_on to false if the reader cancels.
  Status push(int32_t token, bool* stopped, bool* keep_on) {
    piece_.clear();
    shown_.clear();
    MIDGE_RETURN_IF_ERROR(decoder_.push(token, &piece_));
    *stopped = matcher_.push(piece_, &shown_);
    *keep_on = show();
    return Status();
  }

  // Shows what was held back, unless a stop string ended the text.
  void finish() {
    piece_.clear();
    shown_.clear();
    decoder_.flush(&piece_);
    if (!matcher_.push(piece_, &shown_)) matcher_.flush(&shown_);
    show();
  }

 private:
  // Longer than almost every token, so that the strings below keep their memory.
  static constexpr size_t kPieceBytes = 256;

  bool show() {
    if (shown_.empty()) return true;
    *text_ += shown_;
    return on_text_ == nullptr || on_text_(shown_);
  }

  StreamDecoder decoder_;
  StopMatcher matcher_;
  const std::function<bool(std::string_view)>& on_text_;
  std::string* text_;
  std::string piece_;  // of the current token
  std::string shown_;
};

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

Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer,
                                std::span<const int32_t> prompt, const GenerateOptions& options,
                                const std::function<bool(std::string_view)>& on_text) {
  if (options.tokens_max < 1) {
    return make_status(StatusCode::kOutOfRange, "%lld tokens to generate, expected at least 1",
                       static_cast<long long>(options.tokens_max));
  }
  const int64_t vocab_size = session.model().config().vocab_size;
  MIDGE_ASSIGN_OR_RETURN(Sampler sampler,
                         Sampler::create(options.sampler, allowed_tokens(tokenizer, vocab_size)));
  MIDGE_ASSIGN_OR_RETURN(
      const AlignedBuffer buffer,
      AlignedBuffer::create(vocab_size * static_cast<int64_t>(sizeof(float)), "logits"));
  auto* logits = reinterpret_cast<float*>(buffer.data());
  GenerateResult result;
  // Room for everything the loop produces, so that the loop itself takes no memory for tokens.
  const int64_t room = session.context_length() - session.length();
  result.tokens.reserve(static_cast<size_t>(std::clamp<int64_t>(room, 1, options.tokens_max)));
  result.prompt_tokens = static_cast<int64_t>(prompt.size());
  const TokenKind last_kind =
      prompt.empty() ? TokenKind::kNone : tokenizer.token_kind(prompt.back());
  const bool continues_text = last_kind == TokenKind::kNormal || last_kind == TokenKind::kByte;
  TextStream stream(tokenizer, continues_text, options, on_text, &result.text);

  for (const int32_t token : session.tokens()) sampler.observe_prompt(token);
  const auto start = Clock::now();
  const int32_t last_row = static_cast<int32_t>(prompt.size()) - 1;
  StepOutputs outputs;
  outputs.logits_rows = {&last_row, 1};
  outputs.logits = logits;
  MIDGE_RETURN_IF_ERROR(session.step(prompt, outputs));
  for (const int32_t token : prompt) sampler.observe_prompt(token);
  const auto first_logits = Clock::now();
  result.prompt_seconds = seconds_between(start, first_logits);

  const int32_t first_row = 0;
  outputs.logits_rows = {&first_row, 1};
  auto first_token = first_logits;
  for (;;) {
    GeneratedToken generated;
    generated.token = sampler.sample(logits, static_cast<uint64_t>(session.length()));
    if (options.sampler.logprobs > 0) {
      TokenLogprob chosen = {generated.token, 0};
      generated.alternatives.resize(static_cast<size_t>(options.sampler.logprobs));
      const int32_t count = sampler.logprobs(logits, &chosen, generated.alternatives);
      generated.alternatives.resize(static_cast<size_t>(count));
      generated.logprob = chosen.logprob;
    }
    const int32_t token = generated.token;
    result.tokens.push_back(std::move(generated));
    sampler.observe_output(token);
    const auto now = Clock::now();
    if (result.tokens.size() == 1) first_token = now;
    result.decode_seconds = seconds_between(first_token, now);

    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), token) !=
        options.stop_ids.end()) {
      result.reason = FinishReason::kStopToken;
      break;
    }
    bool stopped = false;
    bool keep_on = true;
    MIDGE_RETURN_IF_ERROR(stream.push(token, &stopped, &keep_on));
    if (stopped) {
      result.reason = FinishReason::kStopString;
      return result;
    }
    if (!keep_on) {
      result.reason = FinishReason::kCancelled;
      break;
    }
    if (static_cast<int64_t>(result.tokens.size()) == options.tokens_max) {
      result.reason = FinishReason::kTokensMax;
      break;
    }
    const Status status = session.step({&token, 1}, outputs, RowRole::kGenerated);
    if (status.code() == StatusCode::kContextFull) {
      result.reason = FinishReason::kContextFull;
      break;
    }
    if (status.code() == StatusCode::kCancelled) {
      result.reason = FinishReason::kCancelled;
      break;
    }
    MIDGE_RETURN_IF_ERROR(status);
  }
  stream.finish();
  return result;
}

}  // namespace midge
