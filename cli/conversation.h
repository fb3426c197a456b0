// A conversation with a model: its turns, and what of them a session has read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/open_model.h"
#include "engine/chat/chat.h"

namespace midge {

class Conversation {
 public:
  /// loaded outlives it.
  Conversation(OpenedModel& loaded, ChatSetup setup, GenerateOptions options,
               std::optional<std::string> system)
      : loaded_(loaded),
        setup_(std::move(setup)),
        options_(std::move(options)),
        system_(std::move(system)) {}

  /// Sends a message and shows the answer. One that is cancelled before it began, or fails, leaves
  /// the conversation as it was. Errors: those of render_chat and generate.
  Result<GenerateResult> send(const ChatMessage& message,
                              const std::function<bool(std::string_view)>& show);

  /// Takes the last exchange back. Its message, or nothing if there is none.
  std::optional<ChatMessage> undo();
  /// Forgets everything but the system message.
  void clear();
  /// Forgets the `count` oldest exchanges; the others are read anew with the next message.
  void drop_oldest(size_t count);
  /// How many of the oldest exchanges are to be dropped until half of the context is free; 0: that
  /// is not possible.
  size_t droppable() const;

  size_t exchanges() const { return turns_.size(); }
  /// Tokens that the next message follows.
  int64_t tokens() const;
  const ChatTemplate& chat() const { return setup_.chat; }
  /// For the answers to come.
  GenerateOptions& options() { return options_; }

  const std::optional<std::string>& system() const { return system_; }
  /// Everything is read anew with the next message. Errors: invalid_argument (the template takes
  /// none).
  Status set_system(std::optional<std::string> system);

  /// The whole conversation, as parse_chat_messages reads it.
  std::string to_json() const;
  /// Goes on with another conversation.
  void replace(std::vector<ChatMessage> messages);

 private:
  /// What was sent, what was answered, and how to take both back.
  struct Turn {
    std::vector<ChatMessage> messages;  // without the answer
    ChatMessage answer;
    int64_t begin = 0;            // length of the session before
    std::vector<int32_t> unread;  // and what it had not read
  };

  bool is_read() const { return loaded_.session->length() > 0; }
  void forget_what_is_read();
  Status append_parts(const std::vector<ChatMessage>& messages, std::vector<int32_t>* prompt) const;
  // Takes an answer that has a thought back, to be read again without it.
  Status forget_thought(const GenerateResult& result, int64_t answer_begin);
  ChatMessage message_of_answer(const std::string& text) const;
  std::vector<ChatMessage> history() const;

  OpenedModel& loaded_;
  ChatSetup setup_;
  GenerateOptions options_;
  std::optional<std::string> system_;
  std::vector<Turn> turns_;
  std::vector<ChatMessage> unanswered_;  // stands before the next message
  std::vector<int32_t> unread_;          // tokens of the last answer that the session has not read
};

}  // namespace midge
