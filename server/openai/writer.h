// JSON of answers, as OpenAI's interface has it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/json_writer.h"
#include "midge/midge.h"

namespace midge {

/// With 9 digits, which give the same float again. Fewer would too, but readers that add them up as
/// doubles would be off by half a place of the float. "null" for what is no number.
std::string float_text(float value);

/// A token with what belongs to it.
struct TokenText {
  std::string bytes;
  float logprob = 0;
  bool has_logprob = true;
};
struct ScoredToken {
  TokenText token;
  std::vector<TokenText> top;  ///< best first
};

/// Member "logprobs" of a chat: {"content": [...]}.
void write_chat_logprobs(JsonWriter& json, std::span<const ScoredToken> tokens);

/// Member "logprobs" of a completion: tokens, token_logprobs, top_logprobs, text_offset.
/// offsets[tokens.size()]: in characters. with_top: whether alternatives were asked for.
void write_completion_logprobs(JsonWriter& json, std::span<const ScoredToken> tokens,
                               std::span<const int64_t> offsets, bool with_top);

/// A token's text; bytes that are no text as "bytes:\xe2\x80".
std::string legacy_token_text(std::string_view bytes);

/// How many characters begin in `bytes`.
int64_t count_characters(std::string_view bytes);

}  // namespace midge
