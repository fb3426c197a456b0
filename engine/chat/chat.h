// Chat templates, rendered natively: no template language is ever executed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// kTool and kToolResponse both give a tool's result; Phi-4-mini names them differently.
enum class ChatRole : uint8_t { kSystem, kUser, kAssistant, kTool, kToolResponse };

/// "system", "user", "assistant", "tool", "tool_response".
const char* chat_role_name(ChatRole role);
/// The role of such a name, if it is one.
std::optional<ChatRole> chat_role_from_name(std::string_view name);

/// A call of a tool by the assistant.
struct ToolCall {
  std::string name;
  std::string arguments;  ///< JSON text, written as it is
};

struct ChatMessage {
  ChatRole role = ChatRole::kUser;
  std::string content;
  std::vector<ToolCall> tool_calls = {};  ///< of the assistant, written after the content
};

/// A tool that the model may call. JSON texts, written as they are (chat_json.h makes them).
struct ChatTool {
  std::string definition;  ///< the list entry as given: for kChatMl
  std::string function;    ///< its function object {"name": ...}: for kPhi4Mini
};

/// How turns are written. `[x]` is one added token, `/` a newline.
enum class ChatFamily : uint8_t {
  kPhi3,      ///< [<|role|>]/content[<|end|>]/
  kPhi4,      ///< [<|im_start|>]role[<|im_sep|>]content[<|im_end|>]
  kPhi4Mini,  ///< [<|role|>]content[<|end|>]
  kChatMl,    ///< [<|im_start|>]role/content[<|im_end|>]/   (MiMo)
};

/// What a template does with system messages and its own ChatTemplate::system_text.
enum class SystemRule : uint8_t {
  kDefault,   ///< turns like any other; system_text stands in where none begins the conversation
  kNonEmpty,  ///< turns like any other, left out where empty
  kAppended,  ///< the first turn is system_text, then a space and the text of each system message,
              ///< wherever it stands
  kReplaced,  ///< the first turn is system_text, if there is one; system messages are not written
};

struct ChatTemplate {
  ChatFamily family = ChatFamily::kChatMl;
  SystemRule system_rule = SystemRule::kDefault;
  std::optional<std::string> system_text = std::nullopt;
  bool has_tools = false;        ///< knows tools, tool calls and tool results
  std::string start_token = {};  ///< added token before everything; empty: none
};

/// MiMo's system text when none is given. An explicit empty system message is an empty turn.
inline constexpr std::string_view kMimoDefaultSystem =
    "You are MiMo, an AI assistant developed by Xiaomi.";

/// SmolLM2's.
inline constexpr std::string_view kSmollm2DefaultSystem =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// Longest source of a template that is looked at.
inline constexpr size_t kChatTemplateBytesMax = size_t{1} << 20;

/// The template of a name: "phi3", "phi4", "phi4-mini", "phi4-mini-reasoning", "mimo",
/// "smollm2".
/// Errors: unsupported, listing the names.
Result<ChatTemplate> chat_template_from_name(std::string_view name);

/// Recognises the source text of a template by what is characteristic of its family. Nothing is
/// guessed and nothing executed: every text that the template could write, every filter and every
/// call in it must be one of its family's. `source` is any bytes; time O(n).
/// Errors: unsupported, saying what is not known and listing the names that can be chosen instead.
Result<ChatTemplate> detect_chat_template(std::string_view source);

/// Whether the prompt ends by opening the assistant's turn.
enum class GenerationPrompt : uint8_t { kNone, kAssistant };

/// The parts of a whole conversation. Contents are any bytes; nothing in them, in names or in JSON
/// texts becomes an added token. The size is linear in that of the arguments. Errors:
/// invalid_argument (no messages; tool calls of another role than the assistant),
/// unsupported (tools, tool calls or results where !chat.has_tools; kToolResponse in kChatMl).
Result<std::vector<PromptPart>> render_chat(const ChatTemplate& chat,
                                            std::span<const ChatMessage> messages,
                                            GenerationPrompt prompt,
                                            std::span<const ChatTool> tools = {});

/// What of the assistant's last turn the sequence already holds.
enum class TurnEnd : uint8_t {
  kMissing,   ///< the answer only: it was cut, or its end token was not fed to the model
  kIncluded,  ///< the answer and its end token
};

/// The parts that follow an answer generated after render_chat(..., kAssistant): the rest of the
/// assistant's turn, the new messages, and the next opening of the assistant's turn. Appended to
/// the earlier prompt and the answer they equal the rendering of the whole conversation.
/// Errors: as render_chat.
Result<std::vector<PromptPart>> render_chat_continuation(const ChatTemplate& chat, TurnEnd end,
                                                         std::span<const ChatMessage> messages);

/// The parts as one text, for people and tests. Not for encoding: contents that look like added
/// tokens are not told apart any more.
std::string render_text(std::span<const PromptPart> parts);

/// Every id that ends generation, by increasing id: `given` (from config.json,
/// generation_config.json ...), those of the tokenizer's file, and the added tokens that are end
/// tokens by their text. Errors: out_of_range (a given id has no token).
Result<std::vector<int32_t>> stop_ids(const Tokenizer& tokenizer, std::span<const int32_t> given);

}  // namespace midge
