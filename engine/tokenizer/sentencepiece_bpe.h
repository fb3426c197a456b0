// SentencePiece vocabularies: the spelling of their pieces, and byte pair encoding by scores.
//
// A piece writes a space as U+2581. Text becomes characters, each of which is a piece or, where the
// vocabulary has none, the byte tokens of its UTF-8; then the adjacent pair that makes the piece of
// the highest score is merged, the leftmost of equal ones first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/vocabulary.h"

namespace midge {

/// What `merges_from_scores` may look at: the sum over all pieces of characters times bytes. Real
/// vocabularies stay below 2^25.
inline constexpr size_t kPieceSplitBytesMax = size_t{1} << 28;

/// How text is changed before it is taken apart.
struct SentencepieceRules {
  bool space_prefix = true;               ///< a space goes before every text between added tokens
  bool remove_extra_whitespaces = false;  ///< no spaces at the ends, and one where there are more
};

/// Score of a token, which is the higher the earlier it is merged.
struct TokenScore {
  int32_t id = 0;
  float score = 0;
};

/// Appends the bytes that `piece` stands for; false (with *bytes unspecified) if it contains a
/// space, which no text could produce.
[[nodiscard]] bool append_piece_bytes(std::string_view piece, std::string* bytes);

/// Value of a byte token "<0x00>" .. "<0xFF>"; -1 for other texts.
int32_t byte_piece_value(std::string_view text);

/// The merges that lead to the normal tokens of `vocabulary`: every cut of a token into two. Their
/// rank is that of the score, so tokens of one score share it. Errors (invalid_file, without the
/// file's name): a score that is no number, a character of a token that is no token itself,
/// kPieceSplitBytesMax, kMergesMax.
Result<std::vector<Merge>> merges_from_scores(const Vocabulary& vocabulary,
                                              std::span<const TokenScore> scores);

/// Appends the tokens of `text`; none for an empty one. Every byte has a token in `vocabulary`.
/// Time O(n log n).
void encode_sentencepiece(const Vocabulary& vocabulary, const MergeTable& merges,
                          SentencepieceRules rules, std::string_view text,
                          std::vector<int32_t>* tokens);

}  // namespace midge
