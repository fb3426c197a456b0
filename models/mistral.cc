// Mistral-7B and Mistral-Nemo as Hugging Face directories. docs/models/mistral.md.
// Separate matrices, no biases, full rotary; Mistral-7B-v0.1: a sliding window.
#include "engine/formats/json.h"
#include "models/config_reader.h"
#include "models/registry.h"

namespace midge {
namespace {

// What transformers takes for keys that are absent. Null is something else: no window, and as many
// KV heads as heads.
constexpr int64_t kAbsentWindow = 4096;
constexpr int64_t kAbsentKvHeads = 8;

bool is_absent(const JsonObject& object, std::string_view key) {
  return object.members().at_key(key).error() == simdjson::NO_SUCH_FIELD;
}

Status read_config(ModelLoader& loader) {
  ModelConfig& config = loader.config();
  const WeightSource& source = loader.source();
  MIDGE_RETURN_IF_ERROR(read_hugging_face_config(source, &config));
  MIDGE_RETURN_IF_ERROR(refuse_biases(source));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, source.config()->root());
  if (root.has("layer_types")) {
    return make_status(StatusCode::kUnsupported,
                       "%s: 'layer_types' is given, expected layers of one kind",
                       root.name().c_str());
  }
  if (is_absent(root, "num_key_value_heads")) config.kv_head_count = kAbsentKvHeads;
  const int64_t other = is_absent(root, "sliding_window") ? kAbsentWindow : 0;
  MIDGE_ASSIGN_OR_RETURN(config.sliding_window,
                         root.integer_or("sliding_window", 1, INT64_MAX, other));
  // A window that the context never fills is no window.
  if (config.sliding_window >= config.context_length) config.sliding_window = 0;
  return Status();
}

}  // namespace

Status load_mistral(ModelLoader& loader) {
  loader.config().family = "mistral";
  MIDGE_RETURN_IF_ERROR(read_config(loader));
  MIDGE_RETURN_IF_ERROR(loader.check_config());
  return loader.bind_decoder(DecoderLayout());
}

}  // namespace midge
