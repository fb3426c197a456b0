#include "engine/chat/think.h"

#include <algorithm>

namespace midge {
namespace {

constexpr std::string_view kOpen = "<think>";
constexpr std::string_view kClose = "</think>";
constexpr std::string_view kSpace = " \t\r\n";

size_t space_before(std::string_view text) {
  return std::min(text.find_first_not_of(kSpace), text.size());
}

// Length of the longest end of `text` that begins kClose without being all of it.
size_t begun_close(std::string_view text) {
  for (size_t length = std::min(kClose.size() - 1, text.size()); length > 0; --length) {
    if (kClose.starts_with(text.substr(text.size() - length))) return length;
  }
  return 0;
}

}  // namespace

ThinkSplit split_think(std::string_view text) {
  std::string_view rest = text.substr(space_before(text));
  if (!rest.starts_with(kOpen)) return {{}, text};
  rest.remove_prefix(kOpen.size());
  const size_t end = rest.find(kClose);
  if (end == std::string_view::npos) return {rest, {}};
  std::string_view answer = rest.substr(end + kClose.size());
  answer.remove_prefix(space_before(answer));
  return {rest.substr(0, end), answer};
}

void ThinkFilter::release(size_t bytes, std::string* thought) {
  if (thought != nullptr) thought->append(held_, 0, bytes);
  held_.erase(0, bytes);
}

void ThinkFilter::push(std::string_view piece, std::string* shown, std::string* thought) {
  if (state_ == State::kAnswer) {
    *shown += piece;
    return;
  }
  held_ += piece;
  if (state_ == State::kBegin) {
    const std::string_view rest = std::string_view(held_).substr(space_before(held_));
    if (rest.size() < kOpen.size() && kOpen.starts_with(rest)) return;
    if (!rest.starts_with(kOpen)) {
      state_ = State::kAnswer;
      flush(shown);
      return;
    }
    release(held_.size() - rest.size() + kOpen.size(), thought);
    state_ = State::kThought;
  }
  if (state_ == State::kThought) {
    const size_t end = held_.find(kClose);
    if (end == std::string::npos) {
      release(held_.size() - begun_close(held_), thought);
      return;
    }
    release(end + kClose.size(), thought);
    state_ = State::kGap;
  }
  release(space_before(held_), thought);
  if (held_.empty()) return;
  state_ = State::kAnswer;
  flush(shown);
}

void ThinkFilter::flush(std::string* shown, std::string* thought) {
  if (state_ == State::kThought) {
    release(held_.size(), thought);
  } else {
    *shown += held_;
    held_.clear();
  }
}

Result<std::vector<int32_t>> drop_think(const Tokenizer& tokenizer,
                                        std::span<const int32_t> answer) {
  std::string text;
  for (const int32_t token : answer) text += tokenizer.token_bytes(token);
  const std::string_view kept_text = split_think(text).answer;
  size_t rest = text.size() - kept_text.size();  // bytes to leave out
  std::vector<int32_t> kept;
  for (size_t i = 0; i < answer.size(); ++i) {
    const std::string_view bytes = tokenizer.token_bytes(answer[i]);
    if (rest == 0) {
      kept.push_back(answer[i]);
    } else if (rest >= bytes.size()) {
      rest -= bytes.size();
    } else {
      MIDGE_RETURN_IF_ERROR(tokenizer.encode(bytes.substr(rest), SpecialTokens::kAsText, &kept));
      rest = 0;
    }
  }
  return kept;
}

}  // namespace midge
