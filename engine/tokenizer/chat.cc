#include "engine/tokenizer/chat.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace midge {
namespace {

constexpr const char* kNames = "phi4, phi4-mini, mimo";

// Default system texts of ChatML templates in use, longest first where one contains another.
constexpr std::string_view kDefaultSystems[] = {
    kMimoDefaultSystem,
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
};

// Texts by which templates reveal that they do more than write the turns: fixed system messages,
// thinking sections dropped from the history.
constexpr std::string_view kReasoningMarkers[] = {
    "You are Phi, a language model trained by Microsoft",  // Phi-4-reasoning, -plus
    "Your name is Phi, an AI math expert",                 // Phi-4-mini-reasoning
    "</think>",
};

// Added tokens that end generation wherever they exist.
constexpr std::string_view kEndTokens[] = {"<|im_end|>", "<|end|>", "<|endoftext|>", "<|eot_id|>",
                                           "<end_of_turn>"};

const char* role_name(ChatRole role) {
  switch (role) {
    case ChatRole::kSystem: return "system";
    case ChatRole::kUser: return "user";
    case ChatRole::kAssistant: return "assistant";
  }
  return "user";
}

void add_token(std::vector<PromptPart>* parts, std::string content) {
  parts->push_back({true, std::move(content)});
}

void add_text(std::vector<PromptPart>* parts, std::string text) {
  if (!text.empty()) parts->push_back({false, std::move(text)});
}

void open_turn(ChatFamily family, ChatRole role, std::vector<PromptPart>* parts) {
  const std::string name = role_name(role);
  switch (family) {
    case ChatFamily::kPhi4:
      add_token(parts, "<|im_start|>");
      add_text(parts, name);
      add_token(parts, "<|im_sep|>");
      return;
    case ChatFamily::kPhi4Mini: add_token(parts, "<|" + name + "|>"); return;
    case ChatFamily::kChatMl:
      add_token(parts, "<|im_start|>");
      add_text(parts, name + "\n");
      return;
  }
}

const char* turn_end_token(ChatFamily family) {
  return family == ChatFamily::kPhi4Mini ? "<|end|>" : "<|im_end|>";
}

void close_turn(ChatFamily family, TurnEnd end, std::vector<PromptPart>* parts) {
  if (end == TurnEnd::kMissing) add_token(parts, turn_end_token(family));
  if (family == ChatFamily::kChatMl) add_text(parts, "\n");
}

void add_turn(ChatFamily family, ChatRole role, const std::string& content,
              std::vector<PromptPart>* parts) {
  open_turn(family, role, parts);
  add_text(parts, content);
  close_turn(family, TurnEnd::kMissing, parts);
}

Status check_messages(std::span<const ChatMessage> messages) {
  if (!messages.empty()) return Status();
  return make_status(StatusCode::kInvalidArgument, "a conversation needs at least one message");
}

// Template source without spaces and with one kind of quotes, so that spelling does not matter.
std::string squeeze(std::string_view source) {
  std::string squeezed;
  for (const char c : source) {
    if (c != ' ') squeezed.push_back(c == '"' ? '\'' : c);
  }
  return squeezed;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool contains_all(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [text](std::string_view part) { return contains(text, part); });
}

Status unknown_template(const char* why) {
  return make_status(StatusCode::kUnsupported,
                     "chat template %s; choose one by name (known: %s) if it fits the model", why,
                     kNames);
}

}  // namespace

Result<ChatTemplate> chat_template_from_name(std::string_view name) {
  if (name == "phi4") return ChatTemplate{ChatFamily::kPhi4, std::nullopt};
  if (name == "phi4-mini") return ChatTemplate{ChatFamily::kPhi4Mini, std::nullopt};
  if (name == "mimo") return ChatTemplate{ChatFamily::kChatMl, std::string(kMimoDefaultSystem)};
  return make_status(StatusCode::kUnsupported, "chat template '%s' is not known (known: %s)",
                     printable(name).c_str(), kNames);
}

Result<ChatTemplate> detect_chat_template(std::string_view source) {
  if (source.empty()) return unknown_template("is missing");
  for (const std::string_view marker : kReasoningMarkers) {
    if (contains(source, marker)) {
      return unknown_template("is one of a reasoning variant");
    }
  }
  if (contains_all(source, {"<|im_start|>", "<|im_sep|>", "<|im_end|>"})) {
    return ChatTemplate{ChatFamily::kPhi4, std::nullopt};
  }
  if (contains_all(source, {"<|im_start|>", "<|im_end|>"})) {
    for (const std::string_view text : kDefaultSystems) {
      if (contains(source, text)) return ChatTemplate{ChatFamily::kChatMl, std::string(text)};
    }
    // "<|im_start|>system" spelled out without a known text: a default that is not known here.
    if (contains(source, "<|im_start|>system")) {
      return unknown_template("is ChatML with an unknown default system message");
    }
    return ChatTemplate{ChatFamily::kChatMl, std::nullopt};
  }
  // Phi-3 differs from Phi-4-mini only by newlines between these.
  const std::string squeezed = squeeze(source);
  if (contains(squeezed, "'<|'+message['role']+'|>'+message['content']+'<|end|>'")) {
    return ChatTemplate{ChatFamily::kPhi4Mini, std::nullopt};
  }
  return unknown_template("is not of a known family");
}

Result<std::vector<PromptPart>> render_chat(const ChatTemplate& chat,
                                            std::span<const ChatMessage> messages,
                                            GenerationPrompt prompt) {
  MIDGE_RETURN_IF_ERROR(check_messages(messages));
  std::vector<PromptPart> parts;
  if (chat.default_system.has_value() && messages[0].role != ChatRole::kSystem) {
    add_turn(chat.family, ChatRole::kSystem, *chat.default_system, &parts);
  }
  for (const ChatMessage& message : messages) {
    add_turn(chat.family, message.role, message.content, &parts);
  }
  if (prompt == GenerationPrompt::kAssistant) {
    open_turn(chat.family, ChatRole::kAssistant, &parts);
  } else if (chat.family == ChatFamily::kPhi4Mini) {
    add_token(&parts, "<|endoftext|>");
  }
  return parts;
}

Result<std::vector<PromptPart>> render_chat_continuation(const ChatTemplate& chat, TurnEnd end,
                                                         std::span<const ChatMessage> messages) {
  MIDGE_RETURN_IF_ERROR(check_messages(messages));
  std::vector<PromptPart> parts;
  close_turn(chat.family, end, &parts);
  for (const ChatMessage& message : messages) {
    add_turn(chat.family, message.role, message.content, &parts);
  }
  open_turn(chat.family, ChatRole::kAssistant, &parts);
  return parts;
}

std::string render_text(std::span<const PromptPart> parts) {
  std::string text;
  for (const PromptPart& part : parts) text += part.text;
  return text;
}

Result<std::vector<int32_t>> stop_ids(const Tokenizer& tokenizer, std::span<const int32_t> given) {
  std::vector<int32_t> ids(given.begin(), given.end());
  for (const int32_t id : ids) {
    if (!tokenizer.has_token(id)) {
      return make_status(StatusCode::kOutOfRange, "end token id %d has no token (ids are below %d)",
                         id, tokenizer.vocab_size());
    }
  }
  const std::span<const int32_t> named = tokenizer.stop_ids();
  ids.insert(ids.end(), named.begin(), named.end());
  // Where these two exist, <|end|> closes only a part of an answer.
  const bool end_is_inner =
      tokenizer.find_added("<|return|>") != nullptr && tokenizer.find_added("<|call|>") != nullptr;
  for (const std::string_view text : kEndTokens) {
    const AddedToken* token = tokenizer.find_added(text);
    if (token == nullptr || (text == "<|end|>" && end_is_inner)) continue;
    ids.push_back(token->id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace midge
