// Llama naming with the structure of Phi-4: re-uploads of Phi-4 come as `llama`, and so does
// SmolLM2. docs/models/phi3.md. Separate matrices, no biases, full rotary.
#include "engine/core/visible.h"
#include "models/config_reader.h"
#include "models/registry.h"

namespace midge {

Status load_llama(ModelLoader& loader) {
  ModelConfig& config = loader.config();
  config.family = "llama";
  const WeightSource& source = loader.source();
  if (source.kind() == SourceKind::kGguf) {
    MIDGE_RETURN_IF_ERROR(read_gguf_config(source, "llama", &config));
    // Converters put row b * d / 2 + j of each q and k head at 2j + b, so that the pairs of the
    // rotation lie side by side. Rotating them there leaves the weights in place.
    config.rope.interleaved = true;
    if (config.rope.width != config.head_dim) {
      return make_status(
          StatusCode::kUnsupported, "%s: rotary width %lld of %lld in a llama file, expected all",
          shown_path(source.path()).c_str(), static_cast<long long>(config.rope.width),
          static_cast<long long>(config.head_dim));
    }
  } else {
    MIDGE_RETURN_IF_ERROR(read_hugging_face_config(source, &config));
    MIDGE_RETURN_IF_ERROR(refuse_biases(source));
  }
  MIDGE_RETURN_IF_ERROR(loader.check_config());
  return loader.bind_decoder(DecoderLayout());
}

}  // namespace midge
