// Text to token ids and back: byte pair encoding, byte-level or SentencePiece's, with added tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/status.h"
#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/sentencepiece_bpe.h"
#include "engine/tokenizer/text_encoder.h"
#include "engine/tokenizer/vocabulary.h"

namespace midge {

/// Longest text of one call.
inline constexpr size_t kTextBytesMax = size_t{1} << 30;

/// Most tokens that a caller has room for; the default of those that take any number.
inline constexpr size_t kAnyTokenCount = SIZE_MAX;
/// With such a limit: longest part of a text that is merged as one, a word or a whole text of
/// SentencePiece. Merging takes up to 36 bytes for each of its bytes.
inline constexpr size_t kMergedBytesMax = size_t{1} << 20;

/// What the text of an added token, for example "<|im_end|>", means in the input.
enum class SpecialTokens {
  kParse,   ///< the token: for templates and text of the program's own
  kAsText,  ///< just characters: for text from users, which must not produce control tokens
};

/// A part of a prompt: an added token given by its content, or plain text.
struct PromptPart {
  bool is_token = false;
  std::string text;
  bool optional = false;  ///< of a token: plain text where the vocabulary does not have it
};

/// The two families of vocabularies: how they spell tokens and take text apart.
enum class TokenizerFamily : uint8_t {
  kByteLevel,      ///< texts in the byte-level alphabet; bytes of pre-tokenizer pieces are merged
  kSentencepiece,  ///< a space is U+2581; characters of the whole text are merged
};

/// What a tokenizer file contains, before any check. Views live as long as the file's parser.
struct TokenizerDefinition {
  struct Entry {
    int32_t id = 0;
    std::string_view text;  ///< in the spelling of the family
    bool is_byte = false;   ///< kSentencepiece: one byte, spelled "<0xNN>"
    float score = 0;        ///< for merges_by_score and make_encoder
  };
  std::string name;  ///< of the file, for messages
  TokenizerFamily family = TokenizerFamily::kByteLevel;
  std::vector<Entry> vocabulary;  ///< without the added tokens, unless with the same id and text
  std::vector<AddedToken> added;
  std::vector<std::pair<std::string_view, std::string_view>> merges;  ///< spelled alike

  // Of kByteLevel.
  Pretokenizer pretokenizer;
  bool ignore_merges = false;  ///< a piece that is a token as a whole is not taken apart
  bool nfc = false;            ///< text is normalised before it is split
  /// A byte without a token would become some other token. Such vocabularies are refused; without
  /// it these bytes are left out.
  bool has_unknown_token = false;

  // Of kSentencepiece.
  SentencepieceRules rules;
  bool merges_by_score = false;  ///< they follow from the scores; `merges` is empty
  /// If set, makes what encodes instead of the merges. Called last: a library gets nothing that a
  /// check here refuses. Its errors name the file.
  std::function<Result<std::shared_ptr<const TextEncoder>>()> make_encoder;
  bool has_unused_pieces = false;  ///< that it takes apart again, which merges cannot

  int32_t bos_id = -1;  ///< -1: none is named
  int32_t eos_id = -1;
  bool add_bos = false;           ///< the file asks for bos at the start of every sequence
  std::vector<int32_t> stop_ids;  ///< ids the file names as ends of generation
  std::string chat_template;      ///< source text, empty: none

  /// Appends to `added` within its limits, so that a list of any length takes little memory before
  /// it is refused. Errors: those of AddedTokenLimits.
  Status add(AddedToken token);

 private:
  AddedTokenLimits limits_;
};

/// What a tokenizer consists of, for files that keep it.
struct TokenizerTables {
  VocabularyTables vocabulary;
  std::span<const MergeSlot> merges;  ///< in order by the hash function of the vocabulary
  std::span<const AddedToken> added;  ///< by increasing id
  TokenizerFamily family = TokenizerFamily::kByteLevel;
  Pretokenizer pretokenizer;
  bool ignore_merges = false;
  bool nfc = false;
  SentencepieceRules rules;
  int32_t bos_id = -1;
  int32_t eos_id = -1;
  bool add_bos = false;
  std::span<const int32_t> stop_ids;
  std::string_view chat_template;
};

/// A tokenizer. Immutable, so one object serves any number of threads.
///
/// Text is bytes: anything is accepted, and decode(encode(x)) == x for every x that the
/// tokenizer's normaliser leaves alone and in which `bytes_without_token` finds none. The policy
/// for invalid UTF-8 is in unicode.h.
class Tokenizer {
 public:
  /// Checks a definition and builds the tables. Errors, each naming the file and the item:
  /// invalid_file (ids that collide or are out of range, text that is not in the family's spelling,
  /// merges of unknown tokens, empty added tokens, a byte without a token, limits),
  /// unsupported (a merge that makes an added token, a byte that becomes an unknown token, a
  /// SentencePiece vocabulary with added tokens that are sought in normalised text).
  static Result<Tokenizer> create(const TokenizerDefinition& definition);

  /// The tables; valid as long as the tokenizer. Those of a tokenizer that encodes by a library's
  /// encoder have no merges: see with_hash.
  TokenizerTables tables() const;
  /// A tokenizer that reads the tables in place, but for the added tokens; `storage` keeps them
  /// there. Errors (invalid_file, without the file's name): tables that `create` would never make.
  static Result<Tokenizer> from_tables(const TokenizerTables& tables,
                                       std::shared_ptr<const void> storage);
  /// The same tokenizer, its tables in order by another hash function, and with merges of its own
  /// in place of a library's encoder. Errors: those of from_tables and merges_from_scores.
  Result<Tokenizer> with_hash(const SeededHash& hash) const;

  /// Appends the ids of `text` to *tokens. Nothing is put before or after them.
  /// tokens_max: *tokens may have so many in the end. What exceeds it is refused early: before
  /// anything is encoded if the vocabulary's longest token shows it, else at the first word too
  /// many.
  /// Bytes without a token are left out, as Hugging Face's tokenizers do; they count as tokens
  /// here. Time O(n log n). Errors (nothing appended): out_of_range (more than kTextBytesMax bytes;
  /// with tokens_max, more than kMergedBytesMax in one part), context_full (more than tokens_max),
  /// internal (a library's).
  Status encode(std::string_view text, SpecialTokens special, std::vector<int32_t>* tokens,
                size_t tokens_max = kAnyTokenCount) const;

  /// Appends the ids of a prompt. Neighbouring text parts are encoded as one text, and no text
  /// part can produce an added token. White space next to a token with lstrip or rstrip is dropped,
  /// as encode does; tokens_max also is as there. Errors (nothing appended): not_found (no such
  /// added token), out_of_range, context_full, internal.
  Status encode_parts(std::span<const PromptPart> parts, std::vector<int32_t>* tokens,
                      size_t tokens_max = kAnyTokenCount) const;

  /// How many bytes of `text` have no token and are left out; see ByteTokens::kThoseOfText.
  size_t bytes_without_token(std::string_view text) const;

  /// Bytes of the longest token that plain text can become.
  size_t token_bytes_max() const { return vocabulary_.normal_bytes_max(); }

  /// The bytes of the tokens one after another, less the space that the vocabulary puts before a
  /// text (`space_prefix`); not necessarily valid UTF-8.
  /// skip_special: leaves special tokens out. Errors: out_of_range (an id without a token).
  Result<std::string> decode(std::span<const int32_t> tokens, bool skip_special = false) const;

  /// Bytes of one token, plain text for added ones; empty if the id has no token.
  std::string_view token_bytes(int32_t id) const { return vocabulary_.bytes(id); }
  TokenKind token_kind(int32_t id) const { return vocabulary_.kind(id); }
  /// Whether the model may produce `id`; other rows of its output are padding.
  bool has_token(int32_t id) const { return token_kind(id) != TokenKind::kNone; }
  /// How many ids have a token.
  int32_t token_count() const { return token_count_; }
  /// One more than the highest id with a token.
  int32_t vocab_size() const { return vocabulary_.size(); }

  /// Whether encoding puts a space before every text; decoding takes it from the start again.
  bool space_prefix() const {
    return family_ == TokenizerFamily::kSentencepiece && rules_.space_prefix;
  }

  /// Id of the added or normal token with exactly these bytes; -1 if there is none.
  int32_t id_of(std::string_view text) const;
  /// Added tokens by increasing id.
  std::span<const AddedToken> added_tokens() const { return added_; }
  /// The added token with this content; nullptr if there is none.
  const AddedToken* find_added(std::string_view content) const;

  /// Ids that the file names; -1 if it does not.
  int32_t bos_id() const { return bos_id_; }
  int32_t eos_id() const { return eos_id_; }
  /// Whether the file asks for bos before every sequence; the caller puts it there.
  bool add_bos() const { return add_bos_; }
  /// Ends of generation that the file names, by increasing id.
  std::span<const int32_t> stop_ids() const { return stop_ids_; }
  /// Source text of the chat template; empty if the file has none.
  const std::string& chat_template() const { return chat_template_; }

 private:
  Tokenizer() = default;

  Status add_tokens(const TokenizerDefinition& definition);
  Status index_added();
  Status check_tables() const;
  Status add_merges(const TokenizerDefinition& definition);
  Status name_special_tokens(const TokenizerDefinition& definition);
  // Text without raw added tokens; `parse` looks for the normalized ones. On errors *tokens has
  // anything behind what it had.
  Status encode_text(std::string_view text, bool parse, std::vector<int32_t>* tokens,
                     size_t tokens_max) const;
  Status encode_byte_level(std::string_view text, bool parse, std::vector<int32_t>* tokens,
                           size_t tokens_max) const;
  Status encode_pieces(std::string_view text, std::vector<int32_t>* tokens,
                       size_t tokens_max) const;
  // Whether there may be room for the tokens of so many bytes, as they are merged.
  bool may_fit(size_t bytes, const std::vector<int32_t>& tokens, size_t tokens_max) const;

  std::shared_ptr<const void> storage_;  // of tables in place
  Vocabulary vocabulary_;
  MergeTable merges_;
  std::vector<AddedToken> added_;           // by id
  std::vector<uint32_t> added_by_content_;  // indices into added_, by content
  AddedTokenMatcher raw_matcher_;
  AddedTokenMatcher normalized_matcher_;
  TokenizerFamily family_ = TokenizerFamily::kByteLevel;
  Pretokenizer pretokenizer_;
  bool ignore_merges_ = false;
  bool nfc_ = false;
  SentencepieceRules rules_;
  std::shared_ptr<const TextEncoder> encoder_;
  std::vector<TokenScore> scores_;  // of the normal tokens, where encoder_ encodes
  bool has_unused_pieces_ = false;
  int32_t token_count_ = 0;

  int32_t bos_id_ = -1;
  int32_t eos_id_ = -1;
  bool add_bos_ = false;
  std::vector<int32_t> stop_ids_;
  std::string chat_template_;
};

}  // namespace midge
