// Requests of OpenAI's interface, checked and in the engine's terms.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "midge/midge.h"
#include "server/openai/fields.h"

namespace midge {

/// Limits of one request beside those of HTTP and JSON.
inline constexpr int64_t kChoicesMax = 128;  ///< prompts × n
inline constexpr size_t kStopsMax = 16;
inline constexpr size_t kStopBytesMax = 1024;
inline constexpr size_t kLogitBiasMax = 1024;
inline constexpr int64_t kTopLogprobsMax = 20;
inline constexpr size_t kToolsMax = 128;

/// What both kinds of completions ask for.
struct CommonRequest {
  std::string model;  ///< empty: the first one
  bool stream = false;
  bool include_usage = false;
  int32_t n = 1;
  int64_t tokens_max = 0;  ///< -1: until the context is full
  float temperature = 1;
  float top_p = 1;
  int32_t top_k = 0;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  bool has_seed = false;
  uint64_t seed = 0;
  bool ignore_stop_tokens = false;
  std::vector<std::string> stops;
  std::vector<midge_logprob> logit_bias;
  bool logprobs = false;
  int32_t top_logprobs = 0;
};

/// What the text of an answer must be.
struct TextRule {
  enum class Kind : uint8_t { kAny, kJsonSchema, kToolCalls };

  Kind kind = Kind::kAny;
  std::string schema;  ///< of the text, or of the list of calls
  /// Of kToolCalls: the functions that may be called, and the schemas of their arguments.
  std::vector<std::pair<std::string, std::string>> functions;
  bool is_one_call = false;  ///< and no list of several
};

struct ChatRequest : CommonRequest {
  std::string messages_json;  ///< as midge_request takes them
  std::string tools_json;     ///< empty: none
  bool may_call = false;      ///< tools are given and not forbidden
  bool is_one_call = false;   ///< no more than one call
  TextRule rule;
};

struct CompletionRequest : CommonRequest {
  struct Prompt {
    std::string text;
    std::vector<int32_t> tokens;
    bool is_tokens = false;
  };
  std::vector<Prompt> prompts;
  bool echo = false;
};

/// Reads the body of POST /v1/chat/completions. False: *refusal says what is wrong.
bool read_chat_request(std::string_view body, ChatRequest* request, Refusal* refusal);
/// Of POST /v1/completions.
bool read_completion_request(std::string_view body, CompletionRequest* request, Refusal* refusal);

struct TokenizeRequest {
  std::string model;
  std::string text;
  bool add_special_tokens = true;
  bool parse_special = false;
};
/// Of POST /tokenize: {"prompt" or "content", "add_special_tokens", "parse_special", "model"}.
bool read_tokenize_request(std::string_view body, TokenizeRequest* request, Refusal* refusal);

struct DetokenizeRequest {
  std::string model;
  std::vector<int32_t> tokens;
};
/// Of POST /detokenize: {"tokens", "model"}.
bool read_detokenize_request(std::string_view body, DetokenizeRequest* request, Refusal* refusal);

}  // namespace midge
