#include "engine/tokenizer/vocabulary.h"

#include <algorithm>

#include "engine/tokenizer/probing.h"

namespace midge {
namespace {

bool is_of_text(size_t byte) {
  if (byte < 0x20) return byte == '\t' || byte == '\n' || byte == '\r';
  return byte != 0x7F && byte != 0xC0 && byte != 0xC1 && byte != 0xF1 && byte != 0xF2 &&
         byte < 0xF5;
}

}  // namespace

Status Vocabulary::add(int32_t id, std::string_view bytes, TokenKind kind) {
  if (id < 0 || id >= size()) {
    return make_status(StatusCode::kInvalidFile, "token id %d, expected 0..%d", id, size() - 1);
  }
  const auto i = static_cast<size_t>(id);
  if (this->kind(id) != TokenKind::kNone) {
    return make_status(StatusCode::kInvalidFile, "token id %d is both '%s' and '%s'", id,
                       printable(this->bytes(id)).c_str(), printable(bytes).c_str());
  }
  if (bytes.empty()) {
    return make_status(StatusCode::kInvalidFile, "token id %d is empty", id);
  }
  if (bytes.size() > kTokenBytesMax) {
    return make_status(StatusCode::kInvalidFile, "token id %d has %zu bytes, the limit is %zu", id,
                       bytes.size(), kTokenBytesMax);
  }
  if (bytes.size() > kVocabularyBytesMax - arena_.size()) {
    return make_status(StatusCode::kInvalidFile, "tokens have more than %zu bytes together",
                       kVocabularyBytesMax);
  }
  offsets_.own_data()[i] = static_cast<uint32_t>(arena_.size());
  lengths_.own_data()[i] = static_cast<uint16_t>(bytes.size() - 1);
  kinds_.own_data()[i] = kind;
  arena_.append(bytes);
  return Status();
}

void Vocabulary::reserve(size_t bytes) { arena_.reserve(std::min(bytes, kVocabularyBytesMax)); }

Status Vocabulary::index(ByteTokens required) {
  MIDGE_RETURN_IF_ERROR(index_normal());
  return index_bytes(required);
}

Status Vocabulary::index_normal() {
  size_t normal_count = 0;
  for (const TokenKind kind : kinds_) normal_count += kind == TokenKind::kNormal ? 1 : 0;
  slots_.assign(probing_slots(normal_count), -1);
  int32_t* const slots = slots_.own_data();
  const size_t mask = slots_.size() - 1;
  for (int32_t id = 0; id < size(); ++id) {
    if (kind(id) != TokenKind::kNormal) continue;
    const std::string_view key = bytes(id);
    normal_bytes_max_ = std::max(normal_bytes_max_, key.size());
    size_t slot = hash_.of_bytes(key) & mask;
    while (slots[slot] >= 0) {
      if (bytes(slots[slot]) == key) {
        return make_status(StatusCode::kInvalidFile, "token ids %d and %d are both '%s'",
                           slots[slot], id, printable(key).c_str());
      }
      slot = (slot + 1) & mask;
    }
    slots[slot] = id;
  }
  return Status();
}

Status Vocabulary::index_bytes(ByteTokens required) {
  byte_tokens_.fill(-1);
  bool has_byte_tokens = false;
  for (int32_t id = 0; id < size(); ++id) {
    if (kind(id) != TokenKind::kByte) continue;
    has_byte_tokens = true;
    const auto byte = static_cast<uint8_t>(bytes(id)[0]);
    if (byte_tokens_[byte] >= 0) {
      return make_status(StatusCode::kInvalidFile, "token ids %d and %d are both byte 0x%02x",
                         byte_tokens_[byte], id, byte);
    }
    byte_tokens_[byte] = id;
  }
  for (size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
    const char text = static_cast<char>(byte);
    if (!has_byte_tokens) byte_tokens_[byte] = find(std::string_view(&text, 1));
    if (byte_tokens_[byte] < 0 && (required == ByteTokens::kAll || is_of_text(byte))) {
      return make_status(StatusCode::kInvalidFile, "byte 0x%02zx has no token", byte);
    }
  }
  return Status();
}

std::string_view Vocabulary::bytes(int32_t id) const {
  if (kind(id) == TokenKind::kNone) return {};
  // Plain pointers: the tables have an entry for every id, and `add` has checked these.
  const auto i = static_cast<size_t>(id);
  return {arena_.data() + offsets_.data()[i], size_t{lengths_.data()[i]} + 1};
}

int32_t Vocabulary::find(std::string_view key) const {
  if (slots_.empty()) return -1;
  const int32_t* slots = slots_.data();
  const size_t mask = slots_.size() - 1;
  size_t slot = hash_.of_bytes(key) & mask;
  while (slots[slot] >= 0) {
    if (bytes(slots[slot]) == key) return slots[slot];
    slot = (slot + 1) & mask;
  }
  return -1;
}

VocabularyTables Vocabulary::tables() const {
  return {arena_.span(), offsets_.span(), lengths_.span(),
          kinds_.span(), slots_.span(),   byte_tokens_,
          hash_};
}

Result<Vocabulary> Vocabulary::from_tables(const VocabularyTables& tables) {
  Vocabulary vocabulary;
  vocabulary.arena_ = Table<char>(tables.bytes);
  vocabulary.offsets_ = Table<uint32_t>(tables.offsets);
  vocabulary.lengths_ = Table<uint16_t>(tables.lengths);
  vocabulary.kinds_ = Table<TokenKind>(tables.kinds);
  vocabulary.slots_ = Table<int32_t>(tables.slots);
  vocabulary.hash_ = tables.hash;
  if (tables.byte_tokens.size() != vocabulary.byte_tokens_.size()) {
    return make_status(StatusCode::kInvalidFile, "%zu byte tokens, expected 256",
                       tables.byte_tokens.size());
  }
  std::copy(tables.byte_tokens.begin(), tables.byte_tokens.end(), vocabulary.byte_tokens_.begin());
  MIDGE_RETURN_IF_ERROR(vocabulary.check_tokens());
  MIDGE_RETURN_IF_ERROR(vocabulary.check_slots());
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.kind(id) != TokenKind::kNormal) continue;
    vocabulary.normal_bytes_max_ =
        std::max(vocabulary.normal_bytes_max_, vocabulary.bytes(id).size());
  }
  return vocabulary;
}

// Ids and places of bytes, each in its range.
Status Vocabulary::check_tokens() const {
  const size_t ids = kinds_.size();
  if (ids > static_cast<size_t>(kVocabularySizeMax) || offsets_.size() != ids ||
      lengths_.size() != ids || arena_.size() > kVocabularyBytesMax) {
    return make_status(StatusCode::kInvalidFile,
                       "a vocabulary of %zu kinds, %zu offsets, %zu lengths and %zu bytes", ids,
                       offsets_.size(), lengths_.size(), arena_.size());
  }
  for (size_t i = 0; i < ids; ++i) {
    const size_t length = size_t{lengths_.data()[i]} + 1;
    const size_t offset = offsets_.data()[i];
    const TokenKind kind = kinds_.data()[i];
    const bool is_one_byte = kind != TokenKind::kByte || length == 1;
    if (kind == TokenKind::kNone) continue;
    if (kind <= TokenKind::kSpecial && is_one_byte && offset <= arena_.size() &&
        length <= arena_.size() - offset) {
      continue;
    }
    return make_status(StatusCode::kInvalidFile,
                       "token %zu is of kind %d, %zu bytes at %zu, expected a known kind and a "
                       "place in %zu bytes",
                       i, static_cast<int>(kind), length, offset, arena_.size());
  }
  for (const int32_t id : byte_tokens_) {
    if (id == -1 || kind(id) == TokenKind::kNormal || kind(id) == TokenKind::kByte) continue;
    return make_status(StatusCode::kInvalidFile, "byte token %d is no token of a byte", id);
  }
  return Status();
}

Status Vocabulary::check_slots() const {
  const auto is_free = [](int32_t id) { return id == -1; };
  MIDGE_RETURN_IF_ERROR(check_probing(slots_.span(), is_free));
  for (const int32_t id : slots_) {
    if (is_free(id) || kind(id) == TokenKind::kNormal) continue;
    return make_status(StatusCode::kInvalidFile, "slot of token %d, which is no normal token", id);
  }
  return Status();
}

Result<Vocabulary> Vocabulary::with_hash(const SeededHash& hash) const {
  Vocabulary other = *this;
  other.hash_ = hash;
  MIDGE_RETURN_IF_ERROR(other.index_normal());
  MIDGE_RETURN_IF_ERROR(other.check_slots());
  return other;
}

}  // namespace midge
