// The loop from a prompt to text: prefill, sample, decode, stop.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session/sampler.h"
#include "engine/session/session.h"
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

struct GeneratedToken {
  int32_t token = 0;
  float logprob = 0;                       ///< set if options.sampler.logprobs > 0
  std::vector<TokenLogprob> alternatives;  ///< options.sampler.logprobs best
};

/// What a call of generate() did.
struct GenerateResult {
  FinishReason reason = FinishReason::kTokensMax;
  std::vector<GeneratedToken> tokens;  ///< the stop token included
  std::string text;                    ///< what was shown
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;  ///< from the call to the first logits
  double decode_seconds = 0;  ///< from the first to the last token
  /// Tokens after the first per second of decode_seconds; 0 if there are none.
  double decode_tokens_per_second() const;
  double prompt_tokens_per_second() const;
};

/// Ids that `tokenizer` has a token for, among the rows of a vocabulary of vocab_size.
std::vector<uint8_t> allowed_tokens(const Tokenizer& tokenizer, int64_t vocab_size);

/// Appends `prompt` [n], n >= 1, to the session and generates until something ends the output.
/// on_text gets the text in pieces of whole characters as it is made; returning false cancels.
/// The penalties see the whole session. Afterwards the session holds prompt and output except for
/// the last token, which was never fed to the model.
/// Errors: those of Session::step and Sampler::create; out_of_range (tokens_max).
Result<GenerateResult> generate(Session& session, const Tokenizer& tokenizer,
                                std::span<const int32_t> prompt, const GenerateOptions& options,
                                const std::function<bool(std::string_view)>& on_text);

}  // namespace midge
