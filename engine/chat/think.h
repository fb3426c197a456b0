// The section <think>...</think> with which models that reason begin their answers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// An answer taken apart. Only a section at the very beginning counts, white space aside: an answer
/// may well speak about the tags. Views into the answer.
struct ThinkSplit {
  std::string_view thought;  ///< between the tags; to the end if the closing one is missing
  std::string_view answer;   ///< what follows, without white space at its beginning; if there is no
                             ///< section, everything as it is
};
ThinkSplit split_think(std::string_view text);

/// Leaves the section out of text that arrives in pieces, wherever these are cut. What has been
/// shown in the end is split_think(all pieces).answer.
class ThinkFilter {
 public:
  /// Appends to *shown what of the next piece can be shown now.
  void push(std::string_view piece, std::string* shown);
  /// Appends what is held back; for the end of the answer.
  void flush(std::string* shown);

 private:
  enum class State : uint8_t { kBegin, kThought, kGap, kAnswer };

  State state_ = State::kBegin;
  std::string held_;  // may still become a tag, or is white space before one
};

/// The tokens of an answer without its section: those after it, and where the section ends inside
/// of a token, the rest of that token as tokens of plain text. Ids without a token have no text.
/// Errors: those of Tokenizer::encode.
Result<std::vector<int32_t>> drop_think(const Tokenizer& tokenizer,
                                        std::span<const int32_t> answer);

}  // namespace midge
