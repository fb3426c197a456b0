#include "engine/tokenizer/added_tokens.h"

#include <algorithm>
#include <deque>
#include <numeric>
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

Status AddedTokenLimits::count(const AddedToken& token) {
  const size_t size = token.content.size();
  if (size == 0) {
    return make_status(StatusCode::kInvalidFile, "added token %d is empty", token.id);
  }
  if (size > kAddedTokenBytesMax) {
    return make_status(StatusCode::kInvalidFile, "added token %d has %zu bytes, the limit is %zu",
                       token.id, size, kAddedTokenBytesMax);
  }
  if (tokens_ == kAddedTokensMax) {
    return make_status(StatusCode::kInvalidFile, "more than %zu added tokens", kAddedTokensMax);
  }
  if (size > kAddedTokensBytesMax - bytes_) {
    return make_status(StatusCode::kInvalidFile, "added tokens have more than %zu bytes together",
                       kAddedTokensBytesMax);
  }
  ++tokens_;
  bytes_ += size;
  return Status();
}

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  build_nodes();
  build_links();
}

// The trie, breadth first: the contents in the order of their reversed bytes, so that those below a
// node are neighbours.
void AddedTokenMatcher::build_nodes() {
  std::vector<uint32_t> order(tokens_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto reversed_less = [this](uint32_t a, uint32_t b) {
    const std::string& x = tokens_[a].content;
    const std::string& y = tokens_[b].content;
    return std::lexicographical_compare(
        x.rbegin(), x.rend(), y.rbegin(), y.rend(),
        [](char p, char q) { return static_cast<uint8_t>(p) < static_cast<uint8_t>(q); });
  };
  std::sort(order.begin(), order.end(), reversed_less);
  struct Range {
    size_t begin, end;  // in `order`
    size_t depth;
  };
  std::deque<Range> open = {{0, order.size(), 0}};  // nodes without their children yet
  byte_.push_back(0);
  while (!open.empty()) {
    const Range range = open.front();
    open.pop_front();
    first_child_.push_back(static_cast<uint32_t>(byte_.size()));
    size_t i = range.begin;
    // Contents differ, so at most one ends here; it comes first.
    const bool ends = i < range.end && tokens_[order[i]].content.size() == range.depth;
    token_.push_back(ends ? static_cast<int64_t>(order[i++]) : -1);
    while (i < range.end) {
      const auto byte_at = [&](size_t k) {
        const std::string& content = tokens_[order[k]].content;
        return static_cast<uint8_t>(content[content.size() - 1 - range.depth]);
      };
      const size_t begin = i;
      const uint8_t byte = byte_at(begin);
      while (i < range.end && byte_at(i) == byte) ++i;
      byte_.push_back(byte);
      open.push_back({begin, i, range.depth + 1});
      if (range.depth == 0) last_bytes_.set(byte);
    }
  }
  first_child_.push_back(static_cast<uint32_t>(byte_.size()));
}

void AddedTokenMatcher::build_links() {
  shorter_.assign(byte_.size(), 0);
  for (uint32_t node = 0; node < byte_.size(); ++node) {
    for (uint32_t below = first_child_[node]; below < first_child_[node + 1]; ++below) {
      uint32_t link = 0;
      for (uint32_t from = node; from != 0 && link == 0;) {
        from = shorter_[from];
        link = child(from, byte_[below]);
      }
      shorter_[below] = link;
      if (token_[below] < 0) token_[below] = token_[link];
    }
  }
}

uint32_t AddedTokenMatcher::child(uint32_t node, uint8_t byte) const {
  const auto begin = byte_.begin() + first_child_[node];
  const auto end = byte_.begin() + first_child_[node + 1];
  const auto found = std::lower_bound(begin, end, byte);
  if (found == end || *found != byte) return 0;
  return static_cast<uint32_t>(found - byte_.begin());
}

std::vector<AddedTokenMatcher::Match> AddedTokenMatcher::longest_matches(
    std::string_view text) const {
  std::vector<Match> matches;
  uint32_t node = 0;
  for (size_t i = text.size(); i-- > 0;) {
    const auto byte = static_cast<uint8_t>(text[i]);
    uint32_t next = 0;
    // Each step to a shorter suffix takes back one byte at least that was read before.
    for (; node != 0; node = shorter_[node]) {
      next = child(node, byte);
      if (next != 0) break;
    }
    if (next == 0 && last_bytes_[byte]) next = child(0, byte);
    node = next;
    if (token_[node] >= 0) matches.push_back({i, static_cast<uint32_t>(token_[node])});
  }
  return matches;
}

std::vector<TextSegment> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<TextSegment> segments;
  size_t done = 0;      // everything before is in a segment
  size_t position = 0;  // no token begins before
  const std::vector<Match> matches = empty() ? std::vector<Match>() : longest_matches(text);
  for (auto match = matches.rbegin(); match != matches.rend(); ++match) {
    if (match->position < position) continue;
    const AddedToken& token = tokens_[match->token];
    size_t begin = match->position;
    size_t end = begin + token.content.size();
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
