// The answer to one request for completions: what the engine tells becomes JSON and is sent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/generation.h"
#include "server/http/http_server.h"
#include "server/named_model.h"
#include "server/openai/request.h"

namespace midge {

/// What answers need of the server. What it points to outlives them.
struct AnswerContext {
  HttpServer* http = nullptr;
  Generations* generations = nullptr;
  double ping_seconds = 5;      ///< of silence, before a comment shows that the stream lives
  double deadline_seconds = 0;  ///< of a request; 0: none
  const char* chat_template = nullptr;
  size_t unsent_bytes_max = 0;
  int64_t requests_max = 1024;  ///< of the engine's
  int64_t running_max = 64;     ///< answers that share a pass
  std::function<uint64_t()> draw_seed;
  /// Told of all JSON that is sent; empty: nobody is.
  std::function<void(std::string_view json)> on_content;
  /// Told once at the end of each: the status, and what was read and written.
  std::function<void(int status, const struct AnswerSums& sums)> on_end;
};

/// Sums over the answers of a request.
struct AnswerSums {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t answer_tokens = 0;
  bool has_gone = false;  ///< the client did not wait for the end
  std::string code;       ///< of what went wrong; empty: nothing did
};

/// Begins to answer. Errors are answered too.
void answer_chat(const AnswerContext& context, NamedModel& model, ChatRequest request,
                 std::shared_ptr<HttpExchange> exchange);
void answer_completion(const AnswerContext& context, NamedModel& model, CompletionRequest request,
                       std::shared_ptr<HttpExchange> exchange);

/// An error as the whole answer.
void refuse(HttpExchange& exchange, const Refusal& refusal);

}  // namespace midge
