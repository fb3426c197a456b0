#include "engine/chat/chat.h"

#include <algorithm>
#include <utility>

#include "engine/chat/chat_texts.h"
#include "engine/chat/json_string.h"

namespace midge {
namespace {

using Parts = std::vector<PromptPart>;

// Added tokens that end generation wherever they exist.
constexpr std::string_view kEndTokens[] = {"<|im_end|>", "<|end|>", "<|endoftext|>", "<|eot_id|>",
                                           "<end_of_turn>"};

// Tags inside of templates' own texts that some vocabularies have as added tokens.
constexpr std::string_view kInnerTags[] = {"<think>", "</think>", "<tool_call>", "</tool_call>"};

void add_token(Parts* parts, std::string content) { parts->push_back({true, std::move(content)}); }

// Text of a user, a model or a file: never parsed.
void add_text(Parts* parts, std::string_view text) {
  if (!text.empty()) parts->push_back({false, std::string(text)});
}

// The tag of kInnerTags that `text` begins with; empty if there is none.
std::string_view leading_tag(std::string_view text) {
  for (const std::string_view tag : kInnerTags) {
    if (text.starts_with(tag)) return tag;
  }
  return {};
}

// Text of the template itself, in which tags are tokens where the vocabulary has them.
void add_template_text(Parts* parts, std::string_view text) {
  size_t begin = 0;
  for (size_t i = text.find('<'); i < text.size(); i = text.find('<', i)) {
    const std::string_view tag = leading_tag(text.substr(i));
    if (tag.empty()) {
      ++i;
      continue;
    }
    add_text(parts, text.substr(begin, i - begin));
    parts->push_back({true, std::string(tag), true});
    i += tag.size();
    begin = i;
  }
  add_text(parts, text.substr(begin));
}

bool is_result(ChatRole role) { return role == ChatRole::kTool || role == ChatRole::kToolResponse; }

void open_turn(ChatFamily family, ChatRole role, Parts* parts) {
  const std::string name = chat_role_name(role);
  switch (family) {
    case ChatFamily::kPhi3:
      add_token(parts, "<|" + name + "|>");
      add_text(parts, "\n");
      return;
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

void close_turn(ChatFamily family, TurnEnd end, Parts* parts) {
  const bool im = family == ChatFamily::kPhi4 || family == ChatFamily::kChatMl;
  const bool newline = family == ChatFamily::kPhi3 || family == ChatFamily::kChatMl;
  if (end == TurnEnd::kMissing) add_token(parts, im ? "<|im_end|>" : "<|end|>");
  if (newline) add_text(parts, "\n");
}

// Phi-4-mini: one list of all calls between a pair of tokens.
void add_calls_phi4_mini(std::span<const ToolCall> calls, Parts* parts) {
  add_token(parts, "<|tool_call|>");
  std::string list = "[";
  for (const ToolCall& call : calls) {
    if (list.size() > 1) list += ", ";
    list += "{\"name\": ";
    append_json_string(call.name, &list);
    list += ", \"arguments\": ";
    list += call.arguments;
    list += "}";
  }
  add_text(parts, list + "]");
  add_token(parts, "<|/tool_call|>");
}

void add_calls_chatml(std::span<const ToolCall> calls, Parts* parts) {
  for (const ToolCall& call : calls) {
    add_template_text(parts, kToolCallHead);
    add_text(parts, call.name);
    add_template_text(parts, kToolCallMiddle);
    add_text(parts, call.arguments);
    add_template_text(parts, kToolCallTail);
  }
}

void add_assistant_calls(ChatFamily family, const ChatMessage& message, Parts* parts) {
  if (family == ChatFamily::kPhi4Mini) {
    open_turn(family, message.role, parts);
    add_text(parts, message.content);
    add_calls_phi4_mini(message.tool_calls, parts);
  } else {
    // The newline after the role belongs to what follows it, and a call begins with one.
    add_token(parts, "<|im_start|>");
    add_text(parts, chat_role_name(message.role));
    if (!message.content.empty()) add_text(parts, "\n" + message.content);
    add_calls_chatml(message.tool_calls, parts);
  }
  close_turn(family, TurnEnd::kMissing, parts);
}

// ChatML: neighbouring results share one turn of the user.
void add_result_chatml(const std::string& content, bool first, bool last, Parts* parts) {
  if (first) {
    add_token(parts, "<|im_start|>");
    add_text(parts, "user");
  }
  add_template_text(parts, kToolResponseHead);
  add_text(parts, content);
  add_template_text(parts, kToolResponseTail);
  if (last) close_turn(ChatFamily::kChatMl, TurnEnd::kMissing, parts);
}

void add_messages(const ChatTemplate& chat, std::span<const ChatMessage> messages, Parts* parts) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role == ChatRole::kSystem) {
      if (chat.system_rule == SystemRule::kReplaced) continue;
      if (chat.system_rule == SystemRule::kAppended) continue;  // in the first turn
      if (chat.system_rule == SystemRule::kNonEmpty && message.content.empty()) continue;
    }
    if (is_result(message.role) && chat.family == ChatFamily::kChatMl) {
      const bool first = i == 0 || !is_result(messages[i - 1].role);
      const bool last = i + 1 == messages.size() || !is_result(messages[i + 1].role);
      add_result_chatml(message.content, first, last, parts);
    } else if (!message.tool_calls.empty()) {
      add_assistant_calls(chat.family, message, parts);
    } else {
      open_turn(chat.family, message.role, parts);
      add_text(parts, message.content);
      close_turn(chat.family, TurnEnd::kMissing, parts);
    }
  }
}

void add_tools(ChatFamily family, std::span<const ChatTool> tools, Parts* parts) {
  if (family == ChatFamily::kPhi4Mini) {
    add_token(parts, "<|tool|>");
    std::string list = "[";
    for (const ChatTool& tool : tools) {
      if (list.size() > 1) list += ", ";
      list += tool.function;
    }
    add_text(parts, list + "]");
    add_token(parts, "<|/tool|>");
    return;
  }
  add_template_text(parts, kToolsHead);
  for (const ChatTool& tool : tools) {
    add_text(parts, "\n");
    add_text(parts, tool.definition);
  }
  add_template_text(parts, kToolsTail);
}

// The system turn that begins the conversation. Tools always have one to stand in.
void add_system_turn(const ChatTemplate& chat, std::span<const ChatMessage> messages,
                     std::span<const ChatTool> tools, Parts* parts) {
  const ChatMessage* system = messages[0].role == ChatRole::kSystem ? &messages[0] : nullptr;
  const bool ignored =
      chat.system_rule == SystemRule::kReplaced ||
      (chat.system_rule == SystemRule::kNonEmpty && system != nullptr && system->content.empty());
  if (ignored) system = nullptr;
  const bool appends = chat.system_rule == SystemRule::kAppended;
  const bool own_text = chat.system_text.has_value() && (system == nullptr || appends);
  if (!own_text && system == nullptr && tools.empty()) return;
  open_turn(chat.family, ChatRole::kSystem, parts);
  if (own_text) add_template_text(parts, *chat.system_text);
  if (!appends && system != nullptr) add_text(parts, system->content);
  for (const ChatMessage& message : messages) {
    if (appends && message.role == ChatRole::kSystem) add_text(parts, " " + message.content);
  }
  if (!tools.empty()) add_tools(chat.family, tools, parts);
  close_turn(chat.family, TurnEnd::kMissing, parts);
}

Status check_messages(const ChatTemplate& chat, std::span<const ChatMessage> messages) {
  if (messages.empty()) {
    return make_status(StatusCode::kInvalidArgument, "a conversation needs at least one message");
  }
  for (const ChatMessage& message : messages) {
    const char* name = chat_role_name(message.role);
    if (!message.tool_calls.empty() && message.role != ChatRole::kAssistant) {
      return make_status(StatusCode::kInvalidArgument,
                         "a message of role '%s' has tool calls, expected role 'assistant'", name);
    }
    if (!chat.has_tools && (is_result(message.role) || !message.tool_calls.empty())) {
      return make_status(StatusCode::kUnsupported,
                         "the chat template has no tools; found a message of role '%s'%s", name,
                         message.tool_calls.empty() ? "" : " with tool calls");
    }
    if (message.role == ChatRole::kToolResponse && chat.family == ChatFamily::kChatMl) {
      return make_status(StatusCode::kUnsupported,
                         "the chat template has no role '%s', expected 'tool'", name);
    }
  }
  return Status();
}

}  // namespace

const char* chat_role_name(ChatRole role) {
  switch (role) {
    case ChatRole::kSystem: return "system";
    case ChatRole::kUser: return "user";
    case ChatRole::kAssistant: return "assistant";
    case ChatRole::kTool: return "tool";
    case ChatRole::kToolResponse: return "tool_response";
  }
  return "user";
}

std::optional<ChatRole> chat_role_from_name(std::string_view name) {
  for (const ChatRole role : {ChatRole::kSystem, ChatRole::kUser, ChatRole::kAssistant,
                              ChatRole::kTool, ChatRole::kToolResponse}) {
    if (name == chat_role_name(role)) return role;
  }
  return std::nullopt;
}

Result<std::vector<PromptPart>> render_chat(const ChatTemplate& chat,
                                            std::span<const ChatMessage> messages,
                                            GenerationPrompt prompt,
                                            std::span<const ChatTool> tools) {
  MIDGE_RETURN_IF_ERROR(check_messages(chat, messages));
  if (!tools.empty() && !chat.has_tools) {
    return make_status(StatusCode::kUnsupported, "the chat template has no tools; %zu are given",
                       tools.size());
  }
  Parts parts;
  if (!chat.start_token.empty()) add_token(&parts, chat.start_token);
  const bool has_system = messages[0].role == ChatRole::kSystem;
  add_system_turn(chat, messages, tools, &parts);
  add_messages(chat, messages.subspan(has_system ? 1 : 0), &parts);
  if (prompt == GenerationPrompt::kAssistant) {
    open_turn(chat.family, ChatRole::kAssistant, &parts);
  } else if (chat.family == ChatFamily::kPhi4Mini || chat.family == ChatFamily::kPhi3) {
    add_token(&parts, "<|endoftext|>");
  }
  return parts;
}

Result<std::vector<PromptPart>> render_chat_continuation(const ChatTemplate& chat, TurnEnd end,
                                                         std::span<const ChatMessage> messages) {
  MIDGE_RETURN_IF_ERROR(check_messages(chat, messages));
  for (const ChatMessage& message : messages) {
    if (chat.system_rule != SystemRule::kAppended || message.role != ChatRole::kSystem) continue;
    return make_status(
        StatusCode::kUnsupported,
        "the chat template puts system messages into the first turn, which the model "
        "has read already");
  }
  Parts parts;
  close_turn(chat.family, end, &parts);
  add_messages(chat, messages, &parts);
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
