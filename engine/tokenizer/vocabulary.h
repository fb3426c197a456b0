// Token ids and their bytes, stored compactly: one arena, one offset per id, one hash table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/core/seeded_hash.h"
#include "engine/core/status.h"
#include "engine/core/table.h"

namespace midge {

/// Ids 0 .. kVocabularySizeMax-1; about 20 times the largest vocabulary in use.
inline constexpr int64_t kVocabularySizeMax = int64_t{1} << 22;
/// Longest token; real ones reach 256 bytes.
inline constexpr size_t kTokenBytesMax = size_t{1} << 16;
/// All tokens together; real vocabularies need about 2 MB.
inline constexpr size_t kVocabularyBytesMax = size_t{1} << 25;

enum class TokenKind : uint8_t {
  kNone,     ///< no such token: a hole, or a row that only pads the embedding
  kNormal,   ///< made by byte pair encoding
  kByte,     ///< a byte of a character that has no normal token (SentencePiece)
  kAdded,    ///< matched as a whole in the text; never made from user text
  kSpecial,  ///< an added token that is left out of shown text
};

/// Which bytes need a token.
enum class ByteTokens : uint8_t {
  kAll,
  /// Those of text: control characters but tab, line feed and carriage return, and bytes that no
  /// assigned character of UTF-8 has (C0, C1, F1, F2, F5..FF) may be without.
  kThoseOfText,
};

/// What a vocabulary consists of. Sizes are of ids, but for those of `bytes` and `slots`.
struct VocabularyTables {
  std::span<const char> bytes;        ///< of all tokens
  std::span<const uint32_t> offsets;  ///< into `bytes`
  std::span<const uint16_t> lengths;  ///< less one
  std::span<const TokenKind> kinds;
  std::span<const int32_t> slots;        ///< hash table of the normal tokens' ids, -1: free
  std::span<const int32_t> byte_tokens;  ///< [256], -1: none
  SeededHash hash;                       ///< that `slots` are in order by
};

/// Immutable after the last add and `index`; shareable between threads.
class Vocabulary {
 public:
  /// `size`: ids are below it. At most kVocabularySizeMax.
  explicit Vocabulary(size_t size = 0) : offsets_(size), lengths_(size), kinds_(size) {}

  /// Room for so many bytes of tokens, which are then added without a copy of those before. What is
  /// not used takes address space only.
  void reserve(size_t bytes);

  /// Adds a token. Errors (invalid_file, without the file's name): id taken, empty, too long.
  Status add(int32_t id, std::string_view bytes, TokenKind kind);

  /// Builds the tables for `find` and `byte_token` once all tokens are added. Errors
  /// (invalid_file): two normal tokens or two byte tokens of the same bytes, a byte without a
  /// token that needs one.
  Status index(ByteTokens required);

  /// One more than the highest possible id.
  int32_t size() const { return static_cast<int32_t>(kinds_.size()); }
  /// The tables, for files that keep them; valid as long as the vocabulary.
  VocabularyTables tables() const;
  /// A vocabulary that reads these tables in place. Errors (invalid_file, without the file's name):
  /// what `add` and `index` would never make.
  static Result<Vocabulary> from_tables(const VocabularyTables& tables);
  /// The same tokens, found by another hash function. Errors: those of from_tables.
  Result<Vocabulary> with_hash(const SeededHash& hash) const;

  /// kNone for ids outside of 0 .. size()-1.
  TokenKind kind(int32_t id) const {
    return id >= 0 && id < size() ? kinds_.data()[static_cast<size_t>(id)] : TokenKind::kNone;
  }
  /// Bytes of a token; empty if there is none. Valid as long as the vocabulary.
  std::string_view bytes(int32_t id) const;
  /// The normal token of exactly these bytes; -1 if there is none.
  int32_t find(std::string_view bytes) const;
  /// Bytes of the longest normal token: n bytes of text take at least n / normal_bytes_max()
  /// tokens.
  size_t normal_bytes_max() const { return normal_bytes_max_; }
  /// The byte token of one byte; in vocabularies without byte tokens, its normal token; -1 if there
  /// is none.
  int32_t byte_token(uint8_t byte) const { return byte_tokens_[byte]; }

 private:
  Status index_normal();
  Status index_bytes(ByteTokens required);
  Status check_tokens() const;
  Status check_slots() const;

  Table<char> arena_;
  Table<uint32_t> offsets_;  // [size], into arena_
  Table<uint16_t> lengths_;  // [size], bytes - 1 so that kTokenBytesMax fits
  Table<TokenKind> kinds_;   // [size]
  SeededHash hash_;
  Table<int32_t> slots_;  // hash table of ids, -1: free
  std::array<int32_t, 256> byte_tokens_ = {};
  size_t normal_bytes_max_ = 1;
};

}  // namespace midge
