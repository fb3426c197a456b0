#include "cli/conversation.h"

#include <algorithm>

#include "engine/chat/chat_json.h"
#include "engine/chat/think.h"
#include "engine/formats/json_writer.h"
#include "engine/scheduler/generate.h"

namespace midge {

Result<GenerateResult> Conversation::send(const ChatMessage& message,
                                          const std::function<bool(std::string_view)>& show) {
  Turn turn;
  turn.messages = unanswered_;
  turn.messages.push_back(message);
  turn.begin = loaded_.session->length();
  turn.unread = unread_;
  std::vector<int32_t> prompt = unread_;
  MIDGE_RETURN_IF_ERROR(append_parts(turn.messages, &prompt));
  const int64_t answer_begin = turn.begin + static_cast<int64_t>(prompt.size());
  Result<GenerateResult> result =
      generate(*loaded_.session, loaded_.model->tokenizer(), loaded_.model->allowed_tokens(),
               prompt, options_, show, loaded_.speculation.get());
  if (!result.ok() || result->tokens.empty()) {
    MIDGE_RETURN_IF_ERROR(loaded_.session->truncate(turn.begin));
    return result;
  }
  turn.answer = message_of_answer(result->text);
  turns_.push_back(std::move(turn));
  unanswered_.clear();
  unread_.clear();
  // The last token was never read by the model. An end token is written by the next turn's
  // rendering; anything else belongs to the answer.
  if (result->reason != FinishReason::kStopToken) unread_.push_back(result->tokens.back().token);
  if (setup_.drop_think) MIDGE_RETURN_IF_ERROR(forget_thought(*result, answer_begin));
  return result;
}

std::optional<ChatMessage> Conversation::undo() {
  if (turns_.empty()) return std::nullopt;
  Turn turn = std::move(turns_.back());
  turns_.pop_back();
  ChatMessage message = std::move(turn.messages.back());
  turn.messages.pop_back();
  unanswered_ = std::move(turn.messages);
  // A turn that was read from a file, or after one that was dropped, is not in the session.
  if (turn.begin > loaded_.session->length() || !loaded_.session->truncate(turn.begin).ok()) {
    forget_what_is_read();
  } else {
    unread_ = std::move(turn.unread);
  }
  return message;
}

void Conversation::forget_what_is_read() {
  // Truncation to nothing cannot fail.
  (void)loaded_.session->truncate(0);
  unread_.clear();
  for (Turn& turn : turns_) {
    turn.begin = 0;
    turn.unread.clear();
  }
}

void Conversation::clear() {
  turns_.clear();
  unanswered_.clear();
  forget_what_is_read();
}

void Conversation::drop_oldest(size_t count) {
  turns_.erase(turns_.begin(),
               turns_.begin() + static_cast<int64_t>(std::min(count, turns_.size())));
  forget_what_is_read();
}

size_t Conversation::droppable() const {
  const int64_t length = loaded_.session->length();
  for (size_t i = 1; i < turns_.size(); ++i) {
    if (2 * (length - turns_[i].begin) <= loaded_.session->context_length()) return i;
  }
  return turns_.size() > 1 ? turns_.size() - 1 : turns_.size();
}

int64_t Conversation::tokens() const {
  return loaded_.session->length() + static_cast<int64_t>(unread_.size());
}

Status Conversation::set_system(std::optional<std::string> system) {
  if (system.has_value()) {
    MIDGE_RETURN_IF_ERROR(check_takes_system(setup_.chat, loaded_.model->path()));
  }
  system_ = std::move(system);
  forget_what_is_read();
  return Status();
}

std::vector<ChatMessage> Conversation::history() const {
  std::vector<ChatMessage> messages;
  if (system_.has_value()) messages.push_back({ChatRole::kSystem, *system_});
  for (const Turn& turn : turns_) {
    messages.insert(messages.end(), turn.messages.begin(), turn.messages.end());
    messages.push_back(turn.answer);
  }
  return messages;
}

std::string Conversation::to_json() const {
  std::vector<ChatMessage> messages = history();
  messages.insert(messages.end(), unanswered_.begin(), unanswered_.end());
  JsonWriter json;
  json.begin_array();
  for (const ChatMessage& message : messages) {
    json.begin_object().member("role", chat_role_name(message.role));
    json.member("content", message.content);
    if (!message.tool_calls.empty()) {
      json.begin_array("tool_calls");
      for (const ToolCall& call : message.tool_calls) {
        json.begin_object().member("name", call.name);
        json.member_json("arguments", call.arguments).end_object();
      }
      json.end_array();
    }
    json.end_object();
  }
  json.end_array();
  return json.text();
}

void Conversation::replace(std::vector<ChatMessage> messages) {
  clear();
  system_.reset();
  Turn turn;
  for (ChatMessage& message : messages) {
    if (message.role == ChatRole::kSystem && turns_.empty() && turn.messages.empty()) {
      system_ = std::move(message.content);
    } else if (message.role == ChatRole::kAssistant) {
      turn.answer = std::move(message);
      turns_.push_back(std::move(turn));
      turn = Turn();
    } else {
      turn.messages.push_back(std::move(message));
    }
  }
  unanswered_ = std::move(turn.messages);
}

ChatMessage Conversation::message_of_answer(const std::string& text) const {
  ChatMessage answer = {ChatRole::kAssistant, text};
  if (!setup_.chat.has_tools) return answer;
  ParsedAnswer parsed = parse_tool_calls(setup_.chat.family, text);
  if (parsed.tool_calls.empty()) return answer;
  return {ChatRole::kAssistant, std::move(parsed.content), std::move(parsed.tool_calls)};
}

Status Conversation::append_parts(const std::vector<ChatMessage>& messages,
                                  std::vector<int32_t>* prompt) const {
  std::vector<PromptPart> parts;
  if (is_read()) {
    MIDGE_ASSIGN_OR_RETURN(parts,
                           render_chat_continuation(setup_.chat, TurnEnd::kMissing, messages));
  } else {
    std::vector<ChatMessage> all = history();
    for (ChatMessage& message : all) {
      if (!setup_.drop_think || message.role != ChatRole::kAssistant) continue;
      message.content = std::string(split_think(message.content).answer);
    }
    all.insert(all.end(), messages.begin(), messages.end());
    MIDGE_ASSIGN_OR_RETURN(
        parts, render_chat(setup_.chat, all, GenerationPrompt::kAssistant, setup_.tools));
  }
  return loaded_.model->tokenizer().encode_parts(parts, prompt, context_tokens(loaded_));
}

Status Conversation::forget_thought(const GenerateResult& result, int64_t answer_begin) {
  std::vector<int32_t> answer;
  for (const GeneratedToken& token : result.tokens) answer.push_back(token.token);
  if (result.reason == FinishReason::kStopToken) answer.pop_back();
  MIDGE_ASSIGN_OR_RETURN(std::vector<int32_t> kept, drop_think(loaded_.model->tokenizer(), answer));
  if (kept == answer) return Status();
  unread_ = std::move(kept);
  return loaded_.session->truncate(answer_begin);
}

}  // namespace midge
