// Bodies of requests to the server: the first byte says to which path.
#include "server/openai/request.h"

#include "engine/chat/chat_json.h"
#include "server/schema/schema_check.h"
#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  if (size == 0) return 0;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  Refusal refusal;
  bool is_read = true;
  switch (data[0] % 5) {
    case 0: {
      ChatRequest request;
      is_read = read_chat_request(body, &request, &refusal);
      // What goes on to the engine is JSON that its reader knows, but for what templates refuse.
      if (is_read) (void)parse_chat_messages("messages", request.messages_json);
      break;
    }
    case 1: {
      CompletionRequest request;
      is_read = read_completion_request(body, &request, &refusal);
      if (is_read) test::require(!request.prompts.empty(), "there is a prompt");
      break;
    }
    case 2: {
      TokenizeRequest request;
      is_read = read_tokenize_request(body, &request, &refusal);
      break;
    }
    case 3: {
      DetokenizeRequest request;
      is_read = read_detokenize_request(body, &request, &refusal);
      break;
    }
    default: (void)find_unsupported(body); return 0;
  }
  if (!is_read) {
    test::require(refusal.status == 400 && !refusal.message.empty(), "a refusal says why");
    test::require(JsonDocument::parse("refusal", refusal.body()).ok(), "a refusal is JSON");
  }
  return 0;
}
