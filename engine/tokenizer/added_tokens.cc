#include "engine/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

// Whether `text` has word characters right before `begin` or right after `end`.
bool touches_word(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && is_word_character(decode_utf8_before(text, begin).value)) return true;
  return end < text.size() && is_word_character(decode_utf8(text, end).value);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), node_token_(1, -1) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    uint32_t node = 0;
    for (const char c : tokens_[i].content) {
      const auto byte = static_cast<uint8_t>(c);
      const auto next = static_cast<uint32_t>(node_token_.size());
      const auto [edge, inserted] = edges_.try_emplace((uint64_t{node} << 8) | byte, next);
      if (inserted) node_token_.push_back(-1);
      node = edge->second;
    }
    node_token_[node] = static_cast<int64_t>(i);
    first_bytes_.set(static_cast<uint8_t>(tokens_[i].content[0]));
  }
}

int64_t AddedTokenMatcher::longest_at(std::string_view text, size_t position) const {
  int64_t longest = -1;
  uint32_t node = 0;
  for (size_t i = position; i < text.size(); ++i) {
    const auto edge = edges_.find((uint64_t{node} << 8) | static_cast<uint8_t>(text[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (node_token_[node] >= 0) longest = node_token_[node];
  }
  return longest;
}

std::vector<TextSegment> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<TextSegment> segments;
  size_t done = 0;  // everything before is in a segment
  size_t position = 0;
  while (position < text.size() && !tokens_.empty()) {
    const int64_t found =
        first_bytes_[static_cast<uint8_t>(text[position])] ? longest_at(text, position) : -1;
    if (found < 0) {
      ++position;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found)];
    size_t begin = position;
    size_t end = position + token.content.size();
    position = end;  // a refused match is skipped whole, as Hugging Face's matcher does
    if (token.single_word && touches_word(text, begin, end)) continue;
    if (token.lstrip) begin -= trailing_space(text.substr(done, begin - done));
    if (token.rstrip) end += leading_space(text.substr(end));
    if (begin > done) segments.push_back({text.substr(done, begin - done), -1});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
    position = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), -1});
  return segments;
}

size_t leading_space(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    const CodePoint point = decode_utf8(text, end);
    if (char_class(point.value) != kSpace) break;
    end += point.length;
  }
  return end;
}

size_t trailing_space(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0) {
    const CodePoint point = decode_utf8_before(text, begin);
    if (char_class(point.value) != kSpace) break;
    begin -= point.length;
  }
  return text.size() - begin;
}

}  // namespace midge
