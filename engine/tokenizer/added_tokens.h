// Added tokens: strings that are found in the text as a whole, before any other processing.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// One added token, and all of a file together. Real files have about a hundred, of 20 bytes; the
/// largest lists, 7,000, of 12.
inline constexpr size_t kAddedTokenBytesMax = size_t{1} << 10;
inline constexpr size_t kAddedTokensMax = size_t{1} << 16;
inline constexpr size_t kAddedTokensBytesMax = size_t{1} << 18;

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool single_word = false;  ///< matches only where no word character is on either side
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool normalized = false;   ///< matched in the normalised text, not in the raw one
  bool special = false;      ///< left out of shown text
};

/// Counts added tokens against the limits.
class AddedTokenLimits {
 public:
  /// Errors (invalid_file, without the file's name): the token is empty, or beyond a limit, alone
  /// or with those before it.
  Status count(const AddedToken& token);

 private:
  size_t tokens_ = 0;
  size_t bytes_ = 0;
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
  /// includes the white space that it takes along. Time O(bytes).
  std::vector<TextSegment> split(std::string_view text) const;

 private:
  struct Match {
    size_t position;
    uint32_t token;  // index
  };

  // The longest token at each position that has one, by falling position. Time O(bytes).
  std::vector<Match> longest_matches(std::string_view text) const;
  // The child of `node` by `byte`; 0 if there is none, as the root is nobody's child.
  uint32_t child(uint32_t node, uint8_t byte) const;
  void build_nodes();
  void build_links();

  std::vector<AddedToken> tokens_;
  // The automaton of Aho and Corasick for the reversed contents, which reads a text from its end.
  // Nodes are numbered breadth first, node 0 being the root: the children of node n are
  // first_child_[n] .. first_child_[n + 1] - 1, by rising byte.
  std::vector<uint32_t> first_child_;  // [nodes + 1]
  std::vector<uint8_t> byte_;          // [nodes], that leads to the node
  std::vector<uint32_t> shorter_;      // [nodes], node of the longest proper suffix in the trie
  std::vector<int64_t> token_;         // [nodes], longest token that ends here, -1: none
  std::bitset<256> last_bytes_;        // children of the root
};

/// Length of the white space at the start / at the end of `text`.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);

}  // namespace midge
