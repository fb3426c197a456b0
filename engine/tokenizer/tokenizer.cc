#include "engine/tokenizer/tokenizer.h"

#include <algorithm>

#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

// Appends the bytes of a token or of a part of a merge; false if its spelling is wrong.
bool append_bytes(TokenizerFamily family, std::string_view text, std::string* bytes) {
  return family == TokenizerFamily::kByteLevel ? append_alphabet_bytes(text, bytes)
                                               : append_piece_bytes(text, bytes);
}

const char* wrong_spelling(TokenizerFamily family) {
  return family == TokenizerFamily::kByteLevel
             ? "not in the byte-level alphabet"
             : "not a piece: it has a space, which pieces write as U+2581";
}

// Checks that do not need the vocabulary: sizes, and contents of the added tokens.
Status check_limits(const TokenizerDefinition& definition) {
  if (definition.vocabulary.size() > static_cast<size_t>(kVocabularySizeMax)) {
    return make_status(StatusCode::kInvalidFile, "%zu tokens, the limit is %lld",
                       definition.vocabulary.size(), static_cast<long long>(kVocabularySizeMax));
  }
  if (definition.merges.size() > kMergesMax) {
    return make_status(StatusCode::kInvalidFile, "%zu merges, the limit is %zu",
                       definition.merges.size(), kMergesMax);
  }
  AddedTokenLimits limits;
  for (const AddedToken& token : definition.added) {
    MIDGE_RETURN_IF_ERROR(limits.count(token));
    if (token.normalized && definition.family == TokenizerFamily::kSentencepiece) {
      return make_status(StatusCode::kUnsupported,
                         "added token %d '%s' is sought in normalised text, expected 'normalized' "
                         "false in a SentencePiece vocabulary",
                         token.id, printable(token.content).c_str());
    }
  }
  return Status();
}

Status no_room(size_t bytes, size_t tokens_max) {
  return make_status(StatusCode::kContextFull,
                     "a text of %zu bytes has more tokens than there is room for, expected at most "
                     "%zu in all",
                     bytes, tokens_max);
}

// What is merged as one, where tokens are counted.
Status check_merged(size_t bytes, size_t tokens_max) {
  if (tokens_max == kAnyTokenCount || bytes <= kMergedBytesMax) return Status();
  return make_status(StatusCode::kOutOfRange,
                     "%zu bytes of text without a place to cut them, expected at most %zu", bytes,
                     kMergedBytesMax);
}

Result<int32_t> highest_id(const TokenizerDefinition& definition) {
  int32_t highest = -1;
  const auto check = [&highest](int32_t id) {
    highest = std::max(highest, id);
    return id >= 0 && id < kVocabularySizeMax;
  };
  for (const auto& entry : definition.vocabulary) {
    if (!check(entry.id)) {
      return make_status(StatusCode::kInvalidFile, "token '%s' has id %d, expected 0..%lld",
                         printable(entry.text).c_str(), entry.id,
                         static_cast<long long>(kVocabularySizeMax - 1));
    }
  }
  for (const AddedToken& token : definition.added) {
    if (!check(token.id)) {
      return make_status(StatusCode::kInvalidFile, "added token '%s' has id %d, expected 0..%lld",
                         printable(token.content).c_str(), token.id,
                         static_cast<long long>(kVocabularySizeMax - 1));
    }
  }
  return highest;
}

}  // namespace

Status TokenizerDefinition::add(AddedToken token) {
  const Status status = limits_.count(token);
  if (!status.ok()) return status;
  added.push_back(std::move(token));
  return Status();
}

Result<Tokenizer> Tokenizer::create(const TokenizerDefinition& definition) {
  Tokenizer tokenizer;
  tokenizer.pretokenizer_ = definition.pretokenizer;
  tokenizer.ignore_merges_ = definition.ignore_merges;
  tokenizer.nfc_ = definition.nfc;
  tokenizer.family_ = definition.family;
  tokenizer.rules_ = definition.rules;
  tokenizer.add_bos_ = definition.add_bos;
  tokenizer.chat_template_ = definition.chat_template;
  MIDGE_RETURN_IF_ERROR(with_file_name(definition.name, tokenizer.add_tokens(definition)));
  MIDGE_RETURN_IF_ERROR(with_file_name(definition.name, tokenizer.add_merges(definition)));
  MIDGE_RETURN_IF_ERROR(with_file_name(definition.name, tokenizer.name_special_tokens(definition)));
  if (definition.make_encoder != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(tokenizer.encoder_, definition.make_encoder());
  }
  return tokenizer;
}

Status Tokenizer::add_tokens(const TokenizerDefinition& definition) {
  MIDGE_RETURN_IF_ERROR(check_limits(definition));
  MIDGE_ASSIGN_OR_RETURN(const int32_t highest, highest_id(definition));
  vocabulary_ = Vocabulary(static_cast<size_t>(highest + 1));
  size_t spelled_bytes = 0;  // no token is longer than its spelling
  for (const AddedToken& token : definition.added) spelled_bytes += token.content.size();
  for (const auto& entry : definition.vocabulary) spelled_bytes += entry.text.size();
  vocabulary_.reserve(spelled_bytes);

  added_ = definition.added;
  std::sort(added_.begin(), added_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  for (const AddedToken& token : added_) {
    MIDGE_RETURN_IF_ERROR(vocabulary_.add(token.id, token.content,
                                          token.special ? TokenKind::kSpecial : TokenKind::kAdded));
  }
  MIDGE_RETURN_IF_ERROR(index_added());

  std::string bytes;
  for (const auto& entry : definition.vocabulary) {
    // Files repeat added tokens in the vocabulary; under the same id that is no contradiction.
    const bool is_added = vocabulary_.kind(entry.id) == TokenKind::kAdded ||
                          vocabulary_.kind(entry.id) == TokenKind::kSpecial;
    if (is_added && vocabulary_.bytes(entry.id) == entry.text) continue;
    const AddedToken* added = find_added(entry.text);
    if (added != nullptr) {
      return make_status(StatusCode::kInvalidFile, "token '%s' is id %d and added token %d",
                         printable(entry.text).c_str(), entry.id, added->id);
    }
    bytes.clear();
    if (entry.is_byte) {
      const int32_t value = byte_piece_value(entry.text);
      if (value < 0) {
        return make_status(StatusCode::kInvalidFile,
                           "byte token %d is '%s', expected '<0x00>' .. '<0xFF>'", entry.id,
                           printable(entry.text).c_str());
      }
      bytes += static_cast<char>(value);
    } else if (!append_bytes(family_, entry.text, &bytes)) {
      return make_status(StatusCode::kInvalidFile, "token %d '%s' is %s", entry.id,
                         printable(entry.text).c_str(), wrong_spelling(family_));
    }
    MIDGE_RETURN_IF_ERROR(
        vocabulary_.add(entry.id, bytes, entry.is_byte ? TokenKind::kByte : TokenKind::kNormal));
  }
  for (int32_t id = 0; id <= highest; ++id) token_count_ += has_token(id) ? 1 : 0;
  MIDGE_RETURN_IF_ERROR(vocabulary_.index(
      family_ == TokenizerFamily::kByteLevel ? ByteTokens::kThoseOfText : ByteTokens::kAll));
  for (int byte = 0; byte < 256 && definition.has_unknown_token; ++byte) {
    if (vocabulary_.byte_token(static_cast<uint8_t>(byte)) >= 0) continue;
    return make_status(StatusCode::kUnsupported,
                       "byte 0x%02x has no token and would become the unknown token, expected a "
                       "token for every byte or no unknown token",
                       static_cast<unsigned>(byte));
  }
  return Status();
}

// What finds added tokens, by content and in texts.
Status Tokenizer::index_added() {
  std::vector<AddedToken> raw;
  std::vector<AddedToken> normalized;
  std::string buffer;
  for (uint32_t i = 0; i < added_.size(); ++i) {
    const AddedToken& token = added_[i];
    added_by_content_.push_back(i);
    (token.normalized ? normalized : raw).push_back(token);
    if (token.normalized && nfc_) {
      normalized.back().content = std::string(normalize_nfc(token.content, &buffer));
    }
  }
  std::sort(added_by_content_.begin(), added_by_content_.end(),
            [this](uint32_t a, uint32_t b) { return added_[a].content < added_[b].content; });
  for (size_t i = 1; i < added_by_content_.size(); ++i) {
    const AddedToken& a = added_[added_by_content_[i - 1]];
    const AddedToken& b = added_[added_by_content_[i]];
    if (a.content == b.content) {
      return make_status(StatusCode::kInvalidFile, "added tokens %d and %d are both '%s'", a.id,
                         b.id, printable(a.content).c_str());
    }
  }
  raw_matcher_ = AddedTokenMatcher(std::move(raw));
  normalized_matcher_ = AddedTokenMatcher(std::move(normalized));
  return Status();
}

TokenizerTables Tokenizer::tables() const {
  return {.vocabulary = vocabulary_.tables(),
          .merges = merges_.slots(),
          .added = added_,
          .family = family_,
          .pretokenizer = pretokenizer_,
          .ignore_merges = ignore_merges_,
          .nfc = nfc_,
          .rules = rules_,
          .bos_id = bos_id_,
          .eos_id = eos_id_,
          .add_bos = add_bos_,
          .stop_ids = stop_ids_,
          .chat_template = chat_template_};
}

Result<Tokenizer> Tokenizer::from_tables(const TokenizerTables& tables,
                                         std::shared_ptr<const void> storage) {
  Tokenizer tokenizer;
  tokenizer.storage_ = std::move(storage);
  MIDGE_ASSIGN_OR_RETURN(tokenizer.vocabulary_, Vocabulary::from_tables(tables.vocabulary));
  MIDGE_ASSIGN_OR_RETURN(
      tokenizer.merges_,
      MergeTable::from_slots(tables.merges, tables.vocabulary.hash, tokenizer.vocabulary_.size()));
  tokenizer.added_.assign(tables.added.begin(), tables.added.end());
  tokenizer.family_ = tables.family;
  tokenizer.pretokenizer_ = tables.pretokenizer;
  tokenizer.ignore_merges_ = tables.ignore_merges;
  tokenizer.nfc_ = tables.nfc;
  tokenizer.rules_ = tables.rules;
  tokenizer.add_bos_ = tables.add_bos;
  tokenizer.chat_template_ = tables.chat_template;
  MIDGE_RETURN_IF_ERROR(tokenizer.check_tables());
  MIDGE_RETURN_IF_ERROR(tokenizer.index_added());
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    tokenizer.token_count_ += tokenizer.has_token(id) ? 1 : 0;
  }
  TokenizerDefinition special;
  special.bos_id = tables.bos_id;
  special.eos_id = tables.eos_id;
  special.stop_ids.assign(tables.stop_ids.begin(), tables.stop_ids.end());
  MIDGE_RETURN_IF_ERROR(tokenizer.name_special_tokens(special));
  return tokenizer;
}

// What the tables say of each other.
Status Tokenizer::check_tables() const {
  AddedTokenLimits limits;
  int32_t last_id = -1;
  for (const AddedToken& token : added_) {
    MIDGE_RETURN_IF_ERROR(limits.count(token));
    const TokenKind kind = token.special ? TokenKind::kSpecial : TokenKind::kAdded;
    const bool is_normalized = token.normalized && family_ == TokenizerFamily::kSentencepiece;
    if (token.id <= last_id || vocabulary_.kind(token.id) != kind || is_normalized ||
        vocabulary_.bytes(token.id) != token.content) {
      return make_status(StatusCode::kInvalidFile, "added token %d '%s' is not in the vocabulary",
                         token.id, printable(token.content).c_str());
    }
    last_id = token.id;
  }
  size_t added_count = 0;
  for (int32_t id = 0; id < vocab_size(); ++id) {
    added_count += token_kind(id) >= TokenKind::kAdded ? 1 : 0;
  }
  if (added_count != added_.size()) {
    return make_status(StatusCode::kInvalidFile, "%zu added tokens, expected %zu by the vocabulary",
                       added_.size(), added_count);
  }
  for (const MergeSlot& slot : merges_.slots()) {
    if (slot.left < 0) continue;
    for (const int32_t id : {slot.left, slot.right, slot.result}) {
      // Plain text must not become an added token.
      if (token_kind(id) == TokenKind::kNormal) continue;
      return make_status(StatusCode::kInvalidFile, "a merge of token %d, which is no normal token",
                         id);
    }
  }
  for (int byte = 0; byte < 256 && family_ == TokenizerFamily::kSentencepiece; ++byte) {
    if (vocabulary_.byte_token(static_cast<uint8_t>(byte)) >= 0) continue;
    return make_status(StatusCode::kInvalidFile, "byte 0x%02x has no token",
                       static_cast<unsigned>(byte));
  }
  return Status();
}

Result<Tokenizer> Tokenizer::with_hash(const SeededHash& hash) const {
  Tokenizer other = *this;
  MIDGE_ASSIGN_OR_RETURN(other.vocabulary_, vocabulary_.with_hash(hash));
  if (encoder_ != nullptr) {
    if (has_unused_pieces_) {
      return make_status(StatusCode::kUnsupported,
                         "the tokenizer has pieces that are marked as not used, which a packed "
                         "file has no place for");
    }
    MIDGE_ASSIGN_OR_RETURN(const std::vector<Merge> merges,
                           merges_from_scores(vocabulary_, scores_));
    MIDGE_ASSIGN_OR_RETURN(other.merges_, MergeTable::build(merges));
    other.encoder_.reset();
    other.scores_.clear();
  }
  MIDGE_ASSIGN_OR_RETURN(other.merges_, other.merges_.with_hash(hash));
  return other;
}

Status Tokenizer::add_merges(const TokenizerDefinition& definition) {
  std::vector<Merge> merges;
  std::vector<TokenScore> scores;
  for (const auto& entry : definition.vocabulary) {
    if (!definition.merges_by_score && definition.make_encoder == nullptr) break;
    if (token_kind(entry.id) == TokenKind::kNormal) scores.push_back({entry.id, entry.score});
  }
  if (definition.make_encoder != nullptr) {
    has_unused_pieces_ = definition.has_unused_pieces;
    scores_ = std::move(scores);
    return Status();
  }
  if (definition.merges_by_score) {
    MIDGE_ASSIGN_OR_RETURN(merges, merges_from_scores(vocabulary_, scores));
    MIDGE_ASSIGN_OR_RETURN(merges_, MergeTable::build(merges));
    return Status();
  }
  merges.reserve(definition.merges.size());
  std::string bytes;
  for (size_t i = 0; i < definition.merges.size(); ++i) {
    const auto& [left, right] = definition.merges[i];
    const auto fail = [&](StatusCode code, const char* why) {
      return make_status(code, "merge %zu '%s %s': %s", i, printable(left).c_str(),
                         printable(right).c_str(), why);
    };
    Merge merge;
    bytes.clear();
    if (!append_bytes(family_, left, &bytes)) {
      return fail(StatusCode::kInvalidFile, wrong_spelling(family_));
    }
    const size_t left_bytes = bytes.size();
    if (!append_bytes(family_, right, &bytes)) {
      return fail(StatusCode::kInvalidFile, wrong_spelling(family_));
    }
    const std::string_view view = bytes;
    merge.left = vocabulary_.find(view.substr(0, left_bytes));
    merge.right = vocabulary_.find(view.substr(left_bytes));
    merge.result = vocabulary_.find(view);
    merge.rank = static_cast<uint32_t>(i);
    if (merge.left < 0 || merge.right < 0) {
      return fail(StatusCode::kInvalidFile, "a part of it is not in the vocabulary");
    }
    if (merge.result < 0) {
      // An added token must not come out of plain text.
      if (find_added(view) != nullptr) {
        return fail(StatusCode::kUnsupported, "its result is an added token");
      }
      return fail(StatusCode::kInvalidFile, "its result is not in the vocabulary");
    }
    merges.push_back(merge);
  }
  MIDGE_ASSIGN_OR_RETURN(merges_, MergeTable::build(merges));
  return Status();
}

Status Tokenizer::name_special_tokens(const TokenizerDefinition& definition) {
  bos_id_ = definition.bos_id;
  eos_id_ = definition.eos_id;
  if (bos_id_ >= 0 && !has_token(bos_id_)) {
    return make_status(StatusCode::kInvalidFile, "bos token id %d has no token", bos_id_);
  }
  stop_ids_ = definition.stop_ids;
  if (eos_id_ >= 0) stop_ids_.push_back(eos_id_);
  for (const int32_t id : stop_ids_) {
    if (!has_token(id)) {
      return make_status(StatusCode::kInvalidFile, "end token id %d has no token", id);
    }
  }
  std::sort(stop_ids_.begin(), stop_ids_.end());
  stop_ids_.erase(std::unique(stop_ids_.begin(), stop_ids_.end()), stop_ids_.end());
  if (add_bos_ && bos_id_ < 0) {
    return make_status(StatusCode::kInvalidFile, "asks for a bos token but names none");
  }
  return Status();
}

Status Tokenizer::encode(std::string_view text, SpecialTokens special, std::vector<int32_t>* tokens,
                         size_t tokens_max) const {
  if (text.size() > kTextBytesMax) {
    return make_status(StatusCode::kOutOfRange, "text of %zu bytes, the limit is %zu", text.size(),
                       kTextBytesMax);
  }
  const size_t size_before = tokens->size();
  const auto encode_segments = [&]() -> Status {
    if (special == SpecialTokens::kAsText) return encode_text(text, false, tokens, tokens_max);
    for (const TextSegment& segment : raw_matcher_.split(text)) {
      if (segment.id < 0) {
        MIDGE_RETURN_IF_ERROR(encode_text(segment.text, true, tokens, tokens_max));
      } else if (tokens->size() >= tokens_max) {
        return no_room(text.size(), tokens_max);
      } else {
        tokens->push_back(segment.id);
      }
    }
    return Status();
  };
  Status status = encode_segments();
  if (!status.ok()) tokens->resize(size_before);
  return status;
}

Status Tokenizer::encode_parts(std::span<const PromptPart> parts, std::vector<int32_t>* tokens,
                               size_t tokens_max) const {
  size_t bytes = 0;
  for (const PromptPart& part : parts) {
    if (part.is_token && !part.optional && find_added(part.text) == nullptr) {
      return make_status(StatusCode::kNotFound, "the vocabulary has no added token '%s'",
                         printable(part.text).c_str());
    }
    bytes += part.text.size();
    if (bytes > kTextBytesMax) {
      return make_status(StatusCode::kOutOfRange, "prompt of more than %zu bytes", kTextBytesMax);
    }
  }
  std::string text;
  const AddedToken* before = nullptr;
  const auto flush = [&](const AddedToken* after) {
    std::string_view rest = text;
    if (before != nullptr && before->rstrip) rest.remove_prefix(leading_space(rest));
    if (after != nullptr && after->lstrip) rest.remove_suffix(trailing_space(rest));
    Status status = encode_text(rest, false, tokens, tokens_max);
    text.clear();
    before = after;
    return status;
  };
  const auto encode_all = [&]() -> Status {
    for (const PromptPart& part : parts) {
      const AddedToken* token = part.is_token ? find_added(part.text) : nullptr;
      if (token == nullptr) {
        text += part.text;
        continue;
      }
      MIDGE_RETURN_IF_ERROR(flush(token));
      if (tokens->size() >= tokens_max) return no_room(bytes, tokens_max);
      tokens->push_back(token->id);
    }
    return flush(nullptr);
  };
  const size_t size_before = tokens->size();
  Status status = encode_all();
  if (!status.ok()) tokens->resize(size_before);
  return status;
}

bool Tokenizer::may_fit(size_t bytes, const std::vector<int32_t>& tokens, size_t tokens_max) const {
  const size_t fewest = bytes / vocabulary_.normal_bytes_max();
  return fewest <= tokens_max && tokens.size() <= tokens_max - fewest;
}

Status Tokenizer::encode_text(std::string_view text, bool parse, std::vector<int32_t>* tokens,
                              size_t tokens_max) const {
  if (family_ == TokenizerFamily::kByteLevel && encoder_ == nullptr) {
    return encode_byte_level(text, parse, tokens, tokens_max);
  }
  MIDGE_RETURN_IF_ERROR(check_merged(text.size(), tokens_max));
  if (encoder_ != nullptr) {
    MIDGE_RETURN_IF_ERROR(encoder_->encode(text, tokens));
  } else {
    encode_sentencepiece(vocabulary_, merges_, rules_, text, tokens);
  }
  return tokens->size() <= tokens_max ? Status() : no_room(text.size(), tokens_max);
}

Status Tokenizer::encode_byte_level(std::string_view text, bool parse, std::vector<int32_t>* tokens,
                                    size_t tokens_max) const {
  std::string buffer;
  if (nfc_) {
    // A third of the bytes is left at least: one of U+212A, three of a syllable's three jamo.
    if (!may_fit(text.size() / 4, *tokens, tokens_max)) return no_room(text.size(), tokens_max);
    text = normalize_nfc(text, &buffer);
  }
  if (!parse || normalized_matcher_.empty()) return encode_pieces(text, tokens, tokens_max);
  for (const TextSegment& segment : normalized_matcher_.split(text)) {
    if (segment.id < 0) {
      MIDGE_RETURN_IF_ERROR(encode_pieces(segment.text, tokens, tokens_max));
    } else if (tokens->size() >= tokens_max) {
      return no_room(text.size(), tokens_max);
    } else {
      tokens->push_back(segment.id);
    }
  }
  return Status();
}

Status Tokenizer::encode_pieces(std::string_view text, std::vector<int32_t>* tokens,
                                size_t tokens_max) const {
  if (!may_fit(text.size(), *tokens, tokens_max)) return no_room(text.size(), tokens_max);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = pretoken_end(pretokenizer_, text, begin);
    const std::string_view piece = text.substr(begin, end - begin);
    begin = end;
    if (ignore_merges_) {
      const int32_t id = vocabulary_.find(piece);
      if (id >= 0) {
        tokens->push_back(id);
        if (tokens->size() > tokens_max) return no_room(text.size(), tokens_max);
        continue;
      }
    }
    if (piece.size() > kMergedBytesMax) {
      MIDGE_RETURN_IF_ERROR(check_merged(piece.size(), tokens_max));
    }
    const size_t first = tokens->size();
    tokens->resize(first + piece.size());
    int32_t* next = tokens->data() + first;
    for (const char byte : piece) {
      *next = vocabulary_.byte_token(static_cast<uint8_t>(byte));
      next += *next >= 0 ? 1 : 0;
    }
    tokens->resize(static_cast<size_t>(next - tokens->data()));
    merges_.apply(tokens, first);
    if (tokens->size() > tokens_max) return no_room(text.size(), tokens_max);
  }
  return Status();
}

size_t Tokenizer::bytes_without_token(std::string_view text) const {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [this](char byte) {
    return vocabulary_.byte_token(static_cast<uint8_t>(byte)) < 0;
  }));
}

Result<std::string> Tokenizer::decode(std::span<const int32_t> tokens, bool skip_special) const {
  std::string text;
  bool at_start = space_prefix();
  for (const int32_t id : tokens) {
    if (!has_token(id)) {
      return make_status(StatusCode::kOutOfRange, "token id %d has no token (ids are below %d)", id,
                         vocab_size());
    }
    if (skip_special && token_kind(id) == TokenKind::kSpecial) continue;
    std::string_view bytes = token_bytes(id);
    if (at_start && bytes[0] == ' ') bytes.remove_prefix(1);
    at_start = false;
    text += bytes;
  }
  return text;
}

int32_t Tokenizer::id_of(std::string_view text) const {
  const AddedToken* added = find_added(text);
  return added != nullptr ? added->id : vocabulary_.find(text);
}

const AddedToken* Tokenizer::find_added(std::string_view content) const {
  const auto found = std::lower_bound(
      added_by_content_.begin(), added_by_content_.end(), content,
      [this](uint32_t index, std::string_view key) { return added_[index].content < key; });
  if (found == added_by_content_.end() || added_[*found].content != content) return nullptr;
  return &added_[*found];
}

}  // namespace midge
