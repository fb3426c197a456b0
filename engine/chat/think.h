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

/// Takes text that arrives in pieces, wherever these are cut, apart into the section and what
/// follows. What has been shown in the end is split_think(all pieces).answer; thought and shown
/// text together are all there was.
class ThinkFilter {
 public:
  /// Appends to *shown what of the next piece can be shown now, and to *thought, if it is not null,
  /// what of the section, of its tags and of the white space around can be told.
  void push(std::string_view piece, std::string* shown, std::string* thought = nullptr);
  /// Appends what is held back; for the end of the answer.
  void flush(std::string* shown, std::string* thought = nullptr);

 private:
  enum class State : uint8_t { kBegin, kThought, kGap, kAnswer };

  // Moves the first bytes of what is held to *thought.
  void release(size_t bytes, std::string* thought);

  State state_ = State::kBegin;
  std::string held_;  // may still become a tag, or is white space before one
};

/// The tokens of an answer without its section: those after it, and where the section ends inside
/// of a token, the rest of that token as tokens of plain text. Ids without a token have no text.
/// Errors: those of Tokenizer::encode.
Result<std::vector<int32_t>> drop_think(const Tokenizer& tokenizer,
                                        std::span<const int32_t> answer);

}  // namespace midge
