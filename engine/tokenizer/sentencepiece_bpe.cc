#include "engine/tokenizer/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>

#include "engine/core/utf8.h"

namespace midge {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

// Text with spaces for U+2581: to SentencePiece both are the same character.
std::string with_spaces(std::string_view text) {
  std::string spaced;
  spaced.reserve(text.size() + 1);
  for (size_t i = 0; i < text.size();) {
    const bool symbol = text.substr(i, kSpaceSymbol.size()) == kSpaceSymbol;
    spaced += symbol ? ' ' : text[i];
    i += symbol ? kSpaceSymbol.size() : 1;
  }
  return spaced;
}

std::string normalized(SentencepieceRules rules, std::string_view text) {
  std::string single;
  if (rules.remove_extra_whitespaces) {
    // U+2581 in the text counts as a space at the end only; so it does in SentencePiece.
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    std::unique_copy(text.begin(), text.end(), std::back_inserter(single),
                     [](char a, char b) { return a == ' ' && b == ' '; });
    text = single;
  }
  std::string spaced = with_spaces(text);
  if (rules.remove_extra_whitespaces) spaced.erase(spaced.find_last_not_of(' ') + 1);
  if (rules.space_prefix && !spaced.empty()) spaced.insert(0, 1, ' ');
  return spaced;
}

// The index of a score in this list is its rank.
Result<std::vector<float>> distinct_descending(std::span<const TokenScore> scores) {
  std::vector<float> distinct;
  distinct.reserve(scores.size());
  for (const TokenScore& entry : scores) {
    if (!std::isfinite(entry.score)) {
      return make_status(StatusCode::kInvalidFile, "score of token %d is %g, expected a number",
                         entry.id, static_cast<double>(entry.score));
    }
    distinct.push_back(entry.score);
  }
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return distinct;
}

}  // namespace

bool append_piece_bytes(std::string_view piece, std::string* bytes) {
  if (piece.find(' ') != std::string_view::npos) return false;
  *bytes += with_spaces(piece);
  return true;
}

int32_t byte_piece_value(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  const size_t high = kDigits.find(text[3]);
  const size_t low = kDigits.find(text[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return -1;
  return static_cast<int32_t>(high * 16 + low);
}

Result<std::vector<Merge>> merges_from_scores(const Vocabulary& vocabulary,
                                              std::span<const TokenScore> scores) {
  MIDGE_ASSIGN_OR_RETURN(const std::vector<float> distinct, distinct_descending(scores));
  std::vector<Merge> merges;
  size_t work = 0;
  for (const TokenScore& entry : scores) {
    const std::string_view bytes = vocabulary.bytes(entry.id);
    const auto found =
        std::lower_bound(distinct.begin(), distinct.end(), entry.score, std::greater<>());
    const auto rank = static_cast<uint32_t>(found - distinct.begin());
    for (size_t cut = 0; cut < bytes.size();) {
      const size_t length = decode_utf8(bytes, cut).length;
      if (length == bytes.size()) break;  // a single character
      work += bytes.size();
      if (work > kPieceSplitBytesMax) {
        return make_status(StatusCode::kInvalidFile,
                           "tokens are too long: %zu for characters times bytes, the limit is %zu",
                           work, kPieceSplitBytesMax);
      }
      // SentencePiece would merge such a character all the same; its trainer makes no such
      // vocabulary, because it takes every character that it uses.
      if (vocabulary.find(bytes.substr(cut, length)) < 0) {
        return make_status(StatusCode::kInvalidFile,
                           "token %d '%s': its character '%s' is no token", entry.id,
                           printable(bytes).c_str(), printable(bytes.substr(cut, length)).c_str());
      }
      cut += length;
      if (cut == bytes.size()) break;
      const int32_t left = vocabulary.find(bytes.substr(0, cut));
      const int32_t right = left < 0 ? -1 : vocabulary.find(bytes.substr(cut));
      if (right < 0) continue;
      if (merges.size() == kMergesMax) {
        return make_status(StatusCode::kInvalidFile, "more than %zu merges", kMergesMax);
      }
      merges.push_back({left, right, entry.id, rank});
    }
  }
  return merges;
}

void encode_sentencepiece(const Vocabulary& vocabulary, const MergeTable& merges,
                          SentencepieceRules rules, std::string_view text,
                          std::vector<int32_t>* tokens) {
  const std::string spaced = normalized(rules, text);
  const std::string_view view = spaced;
  const size_t first = tokens->size();
  for (size_t i = 0; i < view.size();) {
    const std::string_view character = view.substr(i, decode_utf8(view, i).length);
    i += character.size();
    const int32_t id = vocabulary.find(character);
    if (id >= 0) {
      tokens->push_back(id);
      continue;
    }
    for (const char byte : character) {
      tokens->push_back(vocabulary.byte_token(static_cast<uint8_t>(byte)));
    }
  }
  merges.apply(tokens, first);
}

}  // namespace midge
