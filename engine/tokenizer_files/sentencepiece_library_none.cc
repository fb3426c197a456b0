// For builds without libsentencepiece.
#include "engine/tokenizer_files/sentencepiece_library.h"

namespace midge {

bool has_sentencepiece_library() { return false; }

Result<std::shared_ptr<const TextEncoder>> make_sentencepiece_encoder(const std::string& name,
                                                                      const SentencepieceModel&) {
  return make_status(StatusCode::kUnsupported,
                     "%s: this build has no libsentencepiece (install libsentencepiece-dev and "
                     "configure with MIDGE_WITH_SENTENCEPIECE=ON, or use the model's "
                     "tokenizer.json or a GGUF file)",
                     name.c_str());
}

}  // namespace midge
