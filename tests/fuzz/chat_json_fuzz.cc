// What --messages and --tools read: a JSON text of messages, NUL, one of tools. Accepted ones go
// through every template.
#include "engine/chat/chat_json.h"

#include <string>

#include "engine/chat/chat.h"
#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace midge;
  auto fields = test::split_fields(data, size, 2);
  fields.resize(2);
  // Strings, as a program reads them from files: never a null pointer.
  const auto messages = parse_chat_messages("messages", std::string(fields[0]));
  const auto tools = parse_chat_tools("tools", std::string(fields[1]));
  if (!messages.ok()) return 0;
  for (const char* name : {"phi3", "phi4", "phi4-mini", "phi4-mini-reasoning", "mimo"}) {
    const auto chat = chat_template_from_name(name);
    test::require(chat.ok(), "a template has a name");
    for (const bool with_tools : {false, true}) {
      const std::vector<ChatTool> offered =
          with_tools && tools.ok() ? *tools : std::vector<ChatTool>();
      const auto parts = render_chat(*chat, *messages, GenerationPrompt::kAssistant, offered);
      if (parts.ok()) (void)render_text(*parts);
    }
  }
  return 0;
}
