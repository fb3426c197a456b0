// The text of one chat answer, taken apart while it arrives: thoughts, content, calls of tools.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/chat.h"
#include "engine/chat/chat_json.h"
#include "engine/chat/think.h"

namespace midge {

/// What became known with a piece of text.
struct AnswerDelta {
  std::string thought;
  std::string content;
  std::vector<ToolCall> tool_calls;  ///< all of them, with the last piece

  bool is_empty() const { return thought.empty() && content.empty() && tool_calls.empty(); }
};

/// Wherever the text is cut into pieces, all deltas together are the same.
class AnswerText {
 public:
  /// tools: whose calls are looked for; nothing: none are.
  explicit AnswerText(std::optional<ChatFamily> tools) : tools_(tools) {}

  AnswerDelta push(std::string_view piece);
  /// What was held back.
  AnswerDelta finish();

 private:
  void add_thought(std::string_view piece, AnswerDelta* delta);
  void add_shown(std::string_view piece, AnswerDelta* delta);

  std::optional<ChatFamily> tools_;
  ThinkFilter filter_;
  bool is_open_ = false;    // <think> was read
  bool is_closed_ = false;  // </think> too
  std::string held_;        // may begin a call, or is within one
  bool is_call_ = false;
};

}  // namespace midge
