// A template's name or source text, then fields, each after a NUL and a letter: s, u, a, t, r for a
// message of the system, the user, the assistant, a tool or a tool's response; d for a JSON text of
// tools, m for one of messages.
#include "engine/chat/chat.h"

#include <algorithm>

#include "engine/chat/chat_json.h"
#include "engine/chat/think.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "tests/fuzz/exercise.h"

namespace {

using namespace midge;

constexpr size_t kFieldsMax = 16;

struct Conversation {
  std::vector<ChatMessage> messages;
  std::vector<ChatTool> tools;
};

ChatRole role_of(char letter) {
  switch (letter) {
    case 's': return ChatRole::kSystem;
    case 'a': return ChatRole::kAssistant;
    case 't': return ChatRole::kTool;
    case 'r': return ChatRole::kToolResponse;
    default: return ChatRole::kUser;
  }
}

// However an answer arrives in pieces, the filter shows what split_think() finds.
void check_think(std::string_view answer) {
  const ThinkSplit split = split_think(answer);
  for (const size_t piece : {size_t{1}, size_t{3}}) {
    ThinkFilter filter;
    std::string shown;
    for (size_t at = 0; at < answer.size(); at += piece) {
      filter.push(answer.substr(at, piece), &shown);
    }
    filter.flush(&shown);
    test::require(shown == split.answer, "the filter shows the answer and nothing else");
  }
}

void add_field(char letter, std::string_view text, Conversation* conversation) {
  if (letter == 'd') {
    const auto tools = parse_chat_tools("tools", text);
    if (tools.ok()) conversation->tools = *tools;
    return;
  }
  std::vector<ChatMessage>& messages = conversation->messages;
  if (letter == 'm') {
    const auto parsed = parse_chat_messages("messages", text);
    if (parsed.ok()) messages.insert(messages.end(), parsed->begin(), parsed->end());
    return;
  }
  messages.push_back({role_of(letter), std::string(text)});
  if (letter != 'a') return;
  check_think(text);
  for (const ChatFamily family : {ChatFamily::kChatMl, ChatFamily::kPhi4Mini}) {
    ParsedAnswer answer = parse_tool_calls(family, text);
    if (!answer.tool_calls.empty()) messages.back().tool_calls = std::move(answer.tool_calls);
  }
}

const Tokenizer& tokenizer(const char* name) {
  static const Tokenizer phi = *load_tokenizer_json(MIDGE_SOURCE_DIR "/assets/models/tiny-phi");
  static const Tokenizer mimo = *load_tokenizer_json(MIDGE_SOURCE_DIR "/assets/models/tiny-mimo");
  return std::string_view(name) == "phi" ? phi : mimo;
}

// No content may turn into an added token: those in the ids are those of the template.
void check_parts(const Result<std::vector<PromptPart>>& parts) {
  if (!parts.ok()) return;
  (void)render_text(*parts);
  for (const char* name : {"phi", "mimo"}) {
    const Tokenizer& chosen = tokenizer(name);
    std::vector<int32_t> ids;
    if (!chosen.encode_parts(*parts, &ids).ok()) continue;
    const auto tokens_in_parts =
        std::count_if(parts->begin(), parts->end(), [&](const PromptPart& part) {
          return part.is_token && chosen.find_added(part.text) != nullptr;
        });
    const auto added = std::count_if(ids.begin(), ids.end(), [&](int32_t id) {
      return chosen.token_kind(id) != TokenKind::kNormal;
    });
    test::require(added == tokens_in_parts, "contents cannot write added tokens");
  }
}

void render(const ChatTemplate& chat, const Conversation& conversation) {
  for (const GenerationPrompt prompt : {GenerationPrompt::kNone, GenerationPrompt::kAssistant}) {
    check_parts(render_chat(chat, conversation.messages, prompt, conversation.tools));
  }
  for (const TurnEnd end : {TurnEnd::kMissing, TurnEnd::kIncluded}) {
    check_parts(render_chat_continuation(chat, end, conversation.messages));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fields = test::split_fields(data, size, kFieldsMax);
  Conversation conversation;
  for (size_t i = 1; i < fields.size(); ++i) {
    if (fields[i].empty()) continue;
    add_field(fields[i][0], fields[i].substr(1), &conversation);
  }
  const auto named = chat_template_from_name(fields[0]);
  if (named.ok()) render(*named, conversation);
  const auto detected = detect_chat_template(fields[0]);
  if (detected.ok()) render(*detected, conversation);
  return 0;
}
