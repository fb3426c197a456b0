#include "server/answer_base.h"

namespace midge {

// What a status of the engine means to a client.
Refusal refusal_of(const Status& status) {
  Refusal refusal;
  refusal.message = status.message();
  switch (status.code()) {
    case StatusCode::kBusy:
      refusal.status = 429;
      refusal.type = "rate_limit_error";
      refusal.code = "queue_full";
      refusal.retry_seconds = 1;
      break;
    case StatusCode::kContextFull:
    case StatusCode::kNoPages: refusal.code = "context_length_exceeded"; break;
    case StatusCode::kCancelled:
      refusal.status = 503;
      refusal.type = "server_error";
      refusal.code = "stopping";
      refusal.retry_seconds = 5;
      break;
    case StatusCode::kInternal:
    case StatusCode::kOutOfMemory:
      refusal.status = 500;
      refusal.type = "server_error";
      break;
    default: break;
  }
  return refusal;
}

// What ended an answer before its time; nothing if it is whole.
std::optional<Refusal> failure_of(const GenerationEvent& event) {
  Refusal refusal;
  switch (event.end) {
    case MIDGE_END_DEADLINE:
      refusal = {504, "server_error", "deadline", "", "the request took too long", 0};
      return refusal;
    case MIDGE_END_CANCELLED:
      refusal = {503, "server_error", "stopping", "", "the server stops", 5};
      return refusal;
    case MIDGE_END_FAILED:
      refusal = refusal_of(Status(static_cast<StatusCode>(event.status), event.error_text));
      // A grammar that can go nowhere: its fuel is out.
      if (event.status == MIDGE_UNSUPPORTED || event.status == MIDGE_INVALID_ARGUMENT) {
        refusal.code = "grammar_failed";
      }
      return refusal;
    default: return std::nullopt;
  }
}

const char* finish_reason(int32_t end) {
  return end == MIDGE_END_TOKENS_MAX || end == MIDGE_END_CONTEXT_FULL ? "length" : "stop";
}

std::string new_id(const char* prefix, const AnswerContext& context) {
  return prefix + format_string("%016llx", static_cast<unsigned long long>(context.draw_seed()));
}

void refuse(HttpExchange& exchange, const Refusal& refusal) {
  HttpFields fields;
  if (refusal.retry_seconds > 0) {
    fields.emplace_back("Retry-After", std::to_string(refusal.retry_seconds));
  }
  if (refusal.status == 401) fields.emplace_back("WWW-Authenticate", "Bearer");
  exchange.respond(refusal.status, "application/json", refusal.body(), std::move(fields));
}

}  // namespace midge
