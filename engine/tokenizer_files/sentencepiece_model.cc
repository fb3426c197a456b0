#include "engine/tokenizer_files/sentencepiece_model.h"

#include <cmath>
#include <cstring>

namespace midge {
namespace {

// Field numbers of sentencepiece_model.proto.
enum ModelField : uint32_t { kPieces = 1, kTrainer = 2, kNormalizer = 3, kDenormalizer = 5 };
enum PieceField : uint32_t { kPieceText = 1, kPieceScore = 2, kPieceType = 3 };
enum TrainerField : uint32_t { kModelType = 3, kSpaceAsSuffix = 24, kByteFallback = 35 };
constexpr uint64_t kModelTypeBpe = 2;
enum NormalizerField : uint32_t {
  kCharacterTable = 2,
  kSpacePrefix = 3,
  kRemoveExtraSpaces = 4,
  kEscapeSpaces = 5,
};

struct Field {
  uint32_t number = 0;
  bool is_bytes = false;
  uint64_t value = 0;      // of a varint
  std::string_view bytes;  // of a string, of bytes or of a message
};

// The fields of one message, in file order.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // False if the bytes are no field.
  bool next(Field* field) {
    uint64_t tag = 0;
    if (!varint(&tag) || tag >> 3 == 0 || tag >> 32 != 0) return false;
    *field = {};
    field->number = static_cast<uint32_t>(tag >> 3);
    uint64_t size = 0;
    switch (tag & 7) {
      case 0: return varint(&field->value);
      case 1: size = 8; break;
      case 2:
        if (!varint(&size)) return false;
        field->is_bytes = true;
        break;
      case 5: size = 4; break;
      default: return false;  // groups, which this format never had
    }
    if (size > rest_.size()) return false;
    field->bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

 private:
  bool varint(uint64_t* value) {
    *value = 0;
    for (uint32_t shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      *value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view rest_;
};

Status damaged(const std::string& name, const char* message) {
  return make_status(StatusCode::kInvalidFile, "%s: %s is truncated or not a protobuf message",
                     name.c_str(), message);
}

Status unsupported(const std::string& name, const char* found, const char* expected) {
  return make_status(StatusCode::kUnsupported, "%s: %s, expected %s", name.c_str(), found,
                     expected);
}

Result<SentencepieceModel::Piece> read_piece(const std::string& name, size_t index,
                                             std::string_view bytes) {
  SentencepieceModel::Piece piece;
  uint64_t type = static_cast<uint64_t>(PieceType::kNormal);
  float score = 0;
  FieldReader reader(bytes);
  Field field;
  while (!reader.at_end()) {
    if (!reader.next(&field)) return damaged(name, format_string("piece %zu", index).c_str());
    if (field.number == kPieceText && field.is_bytes) piece.text = field.bytes;
    if (field.number == kPieceType) type = field.value;
    if (field.number == kPieceScore && field.bytes.size() == sizeof(score)) {
      std::memcpy(&score, field.bytes.data(), sizeof(score));
    }
  }
  if (piece.text.size() > kSentencepieceBytesMax) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: piece %zu '%s' has %zu bytes, the limit is %zu", name.c_str(), index,
                       printable(piece.text).c_str(), piece.text.size(), kSentencepieceBytesMax);
  }
  if (!std::isfinite(score)) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: piece %zu '%s' has score %g, expected a number", name.c_str(), index,
                       printable(piece.text).c_str(), static_cast<double>(score));
  }
  if (type < 1 || type > 6) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: piece %zu '%s' has type %llu, expected 1 .. 6", name.c_str(), index,
                       printable(piece.text).c_str(), static_cast<unsigned long long>(type));
  }
  piece.score = score;
  piece.type = static_cast<PieceType>(type);
  if (piece.type == PieceType::kUserDefined) {
    return make_status(StatusCode::kUnsupported,
                       "%s: piece %zu '%s' is user-defined, which any text could produce; expected "
                       "such tokens in tokenizer_config.json",
                       name.c_str(), index, printable(piece.text).c_str());
  }
  return piece;
}

Status read_normalizer(const std::string& name, std::string_view bytes, SentencepieceModel* model) {
  FieldReader reader(bytes);
  Field field;
  while (!reader.at_end()) {
    if (!reader.next(&field)) return damaged(name, "the normaliser");
    if (field.number == kCharacterTable && !field.bytes.empty()) {
      return unsupported(name, "has a normaliser's table", "the rule 'identity'");
    }
    if (field.number == kSpacePrefix) model->space_prefix = field.value != 0;
    if (field.number == kRemoveExtraSpaces) model->remove_extra_spaces = field.value != 0;
    if (field.number == kEscapeSpaces && field.value == 0) {
      return unsupported(name, "writes spaces as they are", "U+2581 for a space");
    }
  }
  return Status();
}

struct TrainerSettings {
  bool is_bpe = false;
  bool byte_fallback = false;
};

Status read_trainer(const std::string& name, std::string_view bytes, TrainerSettings* settings) {
  FieldReader reader(bytes);
  Field field;
  while (!reader.at_end()) {
    if (!reader.next(&field)) return damaged(name, "the trainer's settings");
    if (field.number == kModelType) settings->is_bpe = field.value == kModelTypeBpe;
    if (field.number == kByteFallback) settings->byte_fallback = field.value != 0;
    if (field.number == kSpaceAsSuffix && field.value != 0) {
      return unsupported(name, "puts spaces behind words", "spaces before words");
    }
  }
  return Status();
}

// Fields that follow one another are one stretch.
void add_known(std::string_view field, SentencepieceModel* model) {
  std::vector<std::string_view>& known = model->known_fields;
  if (!known.empty() && known.back().data() + known.back().size() == field.data()) {
    known.back() = std::string_view(known.back().data(), known.back().size() + field.size());
  } else {
    known.push_back(field);
  }
}

}  // namespace

Result<SentencepieceModel> parse_sentencepiece_model(const std::string& name,
                                                     std::string_view bytes) {
  SentencepieceModel model;
  TrainerSettings trainer;
  FieldReader reader(bytes);
  Field field;
  while (!reader.at_end()) {
    const std::string_view from = reader.rest();
    if (!reader.next(&field)) return damaged(name, "the model");
    if (field.number >= kPieces && field.number <= kNormalizer) {
      add_known(from.substr(0, from.size() - reader.rest().size()), &model);
    }
    if (field.number == kPieces && field.is_bytes) {
      if (model.pieces.size() == kSentencepiecesMax) {
        return make_status(StatusCode::kInvalidFile, "%s: more than %zu pieces", name.c_str(),
                           kSentencepiecesMax);
      }
      MIDGE_ASSIGN_OR_RETURN(const SentencepieceModel::Piece piece,
                             read_piece(name, model.pieces.size(), field.bytes));
      model.pieces.push_back(piece);
    } else if (field.number == kTrainer) {
      MIDGE_RETURN_IF_ERROR(read_trainer(name, field.bytes, &trainer));
    } else if (field.number == kNormalizer) {
      MIDGE_RETURN_IF_ERROR(read_normalizer(name, field.bytes, &model));
    } else if (field.number == kDenormalizer) {
      SentencepieceModel ignored;
      MIDGE_RETURN_IF_ERROR(read_normalizer(name, field.bytes, &ignored));
    }
  }
  if (!trainer.is_bpe) return unsupported(name, "is of another type", "byte pair encoding");
  if (!trainer.byte_fallback) {
    return unsupported(name, "has no byte tokens", "a model trained with byte_fallback");
  }
  return model;
}

}  // namespace midge
