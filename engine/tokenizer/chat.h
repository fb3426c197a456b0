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

enum class ChatRole : uint8_t { kSystem, kUser, kAssistant };

struct ChatMessage {
  ChatRole role = ChatRole::kUser;
  std::string content;
};

/// How turns are written. `[x]` is one added token, `/` a newline.
enum class ChatFamily : uint8_t {
  kPhi4,      ///< [<|im_start|>]role[<|im_sep|>]content[<|im_end|>]
  kPhi4Mini,  ///< [<|role|>]content[<|end|>]
  kChatMl,    ///< [<|im_start|>]role/content[<|im_end|>]/   (MiMo)
};

struct ChatTemplate {
  ChatFamily family = ChatFamily::kChatMl;
  /// System turn that is written when the conversation does not begin with a system message. An
  /// explicit empty system message gives an empty system turn instead. Only kChatMl has one.
  std::optional<std::string> default_system;
};

/// MiMo's system text when none is given.
inline constexpr std::string_view kMimoDefaultSystem =
    "You are MiMo, an AI assistant developed by Xiaomi.";

/// The template of a name: "phi4", "phi4-mini", "mimo". Errors: unsupported, listing the names.
Result<ChatTemplate> chat_template_from_name(std::string_view name);

/// Recognises the source text of a template by what is characteristic of its family. Nothing is
/// guessed: errors (unsupported, listing the names that can be chosen instead) for an empty or
/// unknown text, and for members of the families that write more than the plain turns.
Result<ChatTemplate> detect_chat_template(std::string_view source);

/// Whether the prompt ends by opening the assistant's turn.
enum class GenerationPrompt : uint8_t { kNone, kAssistant };

/// The parts of a whole conversation. Errors: invalid_argument (no messages).
Result<std::vector<PromptPart>> render_chat(const ChatTemplate& chat,
                                            std::span<const ChatMessage> messages,
                                            GenerationPrompt prompt);

/// What of the assistant's last turn the sequence already holds.
enum class TurnEnd : uint8_t {
  kMissing,   ///< the answer only: it was cut, or its end token was not fed to the model
  kIncluded,  ///< the answer and its end token
};

/// The parts that follow an answer generated after render_chat(..., kAssistant): the rest of the
/// assistant's turn, the new messages, and the next opening of the assistant's turn. Appended to
/// the earlier prompt and the answer they equal the rendering of the whole conversation.
/// Errors: invalid_argument (no messages).
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
