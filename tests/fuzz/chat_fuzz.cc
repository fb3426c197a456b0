// A template's name or source text, then the messages of a conversation, each after a NUL and a
// letter for its role.
#include "engine/tokenizer/chat.h"

#include <algorithm>

#include "engine/tokenizer/tokenizer_json.h"
#include "tests/fuzz/exercise.h"

namespace {

using namespace midge;

constexpr size_t kFieldsMax = 16;

ChatRole role_of(std::string_view field) {
  if (field.empty() || field[0] == 'u') return ChatRole::kUser;
  return field[0] == 's' ? ChatRole::kSystem : ChatRole::kAssistant;
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

void render(const ChatTemplate& chat, const std::vector<ChatMessage>& messages) {
  for (const GenerationPrompt prompt : {GenerationPrompt::kNone, GenerationPrompt::kAssistant}) {
    check_parts(render_chat(chat, messages, prompt));
  }
  for (const TurnEnd end : {TurnEnd::kMissing, TurnEnd::kIncluded}) {
    check_parts(render_chat_continuation(chat, end, messages));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto fields = test::split_fields(data, size, kFieldsMax);
  std::vector<ChatMessage> messages;
  for (size_t i = 1; i < fields.size(); ++i) {
    const std::string_view content = fields[i].empty() ? fields[i] : fields[i].substr(1);
    messages.push_back({role_of(fields[i]), std::string(content)});
  }
  const auto named = chat_template_from_name(fields[0]);
  if (named.ok()) render(*named, messages);
  const auto detected = detect_chat_template(fields[0]);
  if (detected.ok()) render(*detected, messages);
  return 0;
}
