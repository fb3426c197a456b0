#include "engine/tokenizer_files/sentencepiece_library.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

// Exported by some builds of the library, declared by none; weak, for those that lack it.
namespace sentencepiece::logging {
[[gnu::weak]] void SetMinLogLevel(int level);
}  // namespace sentencepiece::logging

namespace midge {
namespace {

constexpr int kLogNothing = 4;  // beyond the library's "fatal"

// The library's tables use the standard library's hash, whose seed everybody knows: with pieces
// made for it, each search would walk all of them. Random pieces, one to a bucket on average, share
// one with a dozen at most.
constexpr size_t kBucketMax = 48;

// Builds the two tables of sentencepiece::ModelInterface, and looks at every bucket that grows.
Status refuse_flooding(const std::string& name, const SentencepieceModel& model) {
  std::unordered_map<std::string_view, int> tables[2];
  for (const SentencepieceModel::Piece& piece : model.pieces) {
    const bool reserved = piece.type == PieceType::kControl || piece.type == PieceType::kUnknown ||
                          piece.type == PieceType::kByte;
    auto& table = tables[reserved ? 1 : 0];
    table.emplace(piece.text, 0);
    if (table.bucket_size(table.bucket(piece.text)) > kBucketMax) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: pieces are made to collide in the library's tables, '%s' with %zu "
                         "others",
                         name.c_str(), printable(piece.text).c_str(), kBucketMax);
    }
  }
  return Status();
}

class SentencepieceEncoder : public TextEncoder {
 public:
  explicit SentencepieceEncoder(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor)
      : processor_(std::move(processor)) {}

  Status encode(std::string_view text, std::vector<int32_t>* tokens) const override {
    std::vector<int> ids;
    const auto status = processor_->Encode(text, &ids);
    if (!status.ok()) {
      return make_status(StatusCode::kInternal, "libsentencepiece: %s",
                         printable(status.ToString()).c_str());
    }
    tokens->insert(tokens->end(), ids.begin(), ids.end());
    return Status();
  }

 private:
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

}  // namespace

bool has_sentencepiece_library() { return true; }

Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(
    const std::string& name, const SentencepieceModel& model) {
  MIDGE_RETURN_IF_ERROR(refuse_flooding(name, model));
  if (sentencepiece::logging::SetMinLogLevel != nullptr) {
    sentencepiece::logging::SetMinLogLevel(kLogNothing);
  }
  std::string known;
  for (const std::string_view field : model.known_fields) known += field;
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(known);
  if (!status.ok()) {
    return make_status(StatusCode::kInvalidFile, "%s: libsentencepiece refuses the model: %s",
                       name.c_str(), printable(status.ToString()).c_str());
  }
  return std::shared_ptr<const TextEncoder>(
      std::make_shared<SentencepieceEncoder>(std::move(processor)));
}

}  // namespace midge
