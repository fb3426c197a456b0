// Added tokens: strings that are found in the text as a whole, before any other processing.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace midge {

/// All added tokens of a file together; real files have about a hundred, of 20 bytes.
inline constexpr size_t kAddedTokensMax = size_t{1} << 16;
inline constexpr size_t kAddedTokensBytesMax = size_t{1} << 22;

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  ///< matches only where no word character is on either side
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool normalized = false;   ///< matched in the normalised text, not in the raw one
  bool special = false;      ///< left out of shown text
};

/// A stretch of text: an added token, or (id -1) text between added tokens.
struct TextSegment {
  std::string_view text;
  int32_t id = -1;
};

/// Finds added tokens: at each position the longest one. Immutable, shareable between threads.
class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  /// Contents are not empty and differ from one another.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  /// Cuts `text` into segments, which follow one another without gaps; the segment of a token
  /// includes the white space that it takes along. Time O(bytes * longest content).
  std::vector<TextSegment> split(std::string_view text) const;

 private:
  // Index of the longest token at `position`; -1 if there is none.
  int64_t longest_at(std::string_view text, size_t position) const;

  std::vector<AddedToken> tokens_;
  // A trie of the contents: (node << 8 | byte) -> node. Node 0 is the root.
  std::unordered_map<uint64_t, uint32_t> edges_;
  std::vector<int64_t> node_token_;  // index of the token that ends at a node, -1
  std::bitset<256> first_bytes_;
};

/// Length of the white space at the start / at the end of `text`.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);

}  // namespace midge
