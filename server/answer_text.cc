#include "server/answer_text.h"

#include <algorithm>
#include <span>

namespace midge {
namespace {

constexpr std::string_view kOpen = "<think>";
constexpr std::string_view kClose = "</think>";

// Where calls may begin.
constexpr std::string_view kChatMlMarks[] = {"<tool_call>"};
constexpr std::string_view kPhi4MiniMarks[] = {"<|tool_call|>", "functools["};

std::span<const std::string_view> call_marks(ChatFamily family) {
  if (family == ChatFamily::kPhi4Mini) return kPhi4MiniMarks;
  return kChatMlMarks;
}

// Length of the longest end of `text` that begins `mark` without being all of it.
size_t begun(std::string_view text, std::string_view mark) {
  for (size_t length = std::min(mark.size() - 1, text.size()); length > 0; --length) {
    if (mark.starts_with(text.substr(text.size() - length))) return length;
  }
  return 0;
}

}  // namespace

// The filter hands the tags out whole, with the text between.
void AnswerText::add_thought(std::string_view piece, AnswerDelta* delta) {
  if (!is_open_) {
    const size_t at = piece.find(kOpen);
    if (at == std::string_view::npos) return;
    is_open_ = true;
    piece.remove_prefix(at + kOpen.size());
  }
  if (is_closed_) return;
  const size_t end = piece.find(kClose);
  is_closed_ = end != std::string_view::npos;
  delta->thought += piece.substr(0, end);
}

void AnswerText::add_shown(std::string_view piece, AnswerDelta* delta) {
  if (!tools_.has_value()) {
    delta->content += piece;
    return;
  }
  held_ += piece;
  if (is_call_) return;
  size_t keep = 0;
  size_t first = std::string::npos;
  for (const std::string_view mark : call_marks(*tools_)) {
    first = std::min(first, held_.find(mark));
    keep = std::max(keep, begun(held_, mark));
  }
  is_call_ = first != std::string::npos;
  // White space before a call is not part of the content.
  size_t shown = is_call_ ? first : held_.size() - keep;
  while (shown > 0 && (held_[shown - 1] == '\n' || held_[shown - 1] == ' ')) --shown;
  delta->content.append(held_, 0, shown);
  held_.erase(0, shown);
}

AnswerDelta AnswerText::push(std::string_view piece) {
  AnswerDelta delta;
  std::string shown;
  std::string thought;
  filter_.push(piece, &shown, &thought);
  add_thought(thought, &delta);
  add_shown(shown, &delta);
  return delta;
}

AnswerDelta AnswerText::finish() {
  AnswerDelta delta;
  std::string shown;
  std::string thought;
  filter_.flush(&shown, &thought);
  add_thought(thought, &delta);
  add_shown(shown, &delta);
  if (!tools_.has_value()) return delta;
  ParsedAnswer parsed = parse_tool_calls(*tools_, held_);
  delta.tool_calls = std::move(parsed.tool_calls);
  delta.content += delta.tool_calls.empty() ? std::string_view(held_) : parsed.content;
  held_.clear();
  return delta;
}

}  // namespace midge
