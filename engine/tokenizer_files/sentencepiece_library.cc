#include "engine/tokenizer_files/sentencepiece_library.h"

#include <utility>
#include <vector>

#include <sentencepiece_processor.h>

namespace midge {
namespace {

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

Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(const std::string& name,
                                                                      std::string_view model) {
  auto processor = std::make_unique<sentencepiece::SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(model);
  if (!status.ok()) {
    return make_status(StatusCode::kInvalidFile, "%s: libsentencepiece refuses the model: %s",
                       name.c_str(), printable(status.ToString()).c_str());
  }
  return std::shared_ptr<const TextEncoder>(
      std::make_shared<SentencepieceEncoder>(std::move(processor)));
}

}  // namespace midge
