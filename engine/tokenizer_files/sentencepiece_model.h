// What has to be known of a SentencePiece model (a protobuf ModelProto) before the library may read
// it, and what the library does not tell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// Most pieces of a model; twice the largest vocabulary in use.
inline constexpr size_t kSentencepiecesMax = size_t{1} << 19;
/// Longest piece; trainers make up to 16 characters, runs of spaces reach 93 bytes.
/// libsentencepiece hashes a piece for each character of it.
inline constexpr size_t kSentencepieceBytesMax = 512;

enum class PieceType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct SentencepieceModel {
  struct Piece {
    std::string_view text;  ///< in the model's bytes
    PieceType type = PieceType::kNormal;
    float score = 0;
  };
  std::vector<Piece> pieces;  // [vocab_size], by id
  /// The fields that were looked at, as they lie in the model: pieces, trainer, normaliser. Not
  /// among them are the self-tests, which the library would run, and what later versions add.
  std::vector<std::string_view> known_fields;
  bool space_prefix = true;         ///< a space goes before every text
  bool remove_extra_spaces = true;  ///< none at the ends, and one where there are more
};

/// Walks the fields of a model. Errors (name first): invalid_file (truncated or no protobuf, an
/// unknown type of piece, a score that is no number, kSentencepiecesMax), unsupported (named: a
/// model that is not byte pair encoding; a normaliser's table, which the library would follow
/// without checking it; user-defined pieces, which any text could produce; spaces that are not
/// written as U+2581 or come after the word; no byte tokens).
Result<SentencepieceModel> parse_sentencepiece_model(const std::string& name,
                                                     std::string_view bytes);

}  // namespace midge
