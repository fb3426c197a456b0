// Phi-3 family: Phi-4 (14B), Phi-4-mini, and Phi-3 and 3.5 mini and medium. docs/models/phi3.md.
// Fused qkv and gate_up matrices, no biases; Phi-4-mini: tied head, partial rotary, longrope;
// Phi-3 of 4k context: a sliding window.
#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "models/config_reader.h"
#include "models/registry.h"

namespace midge {
namespace {

Status read_rope_factors(ModelLoader& loader) {
  // GGUF has no key for longrope: the factor tensors are the sign.
  RopeConfig& rope = loader.config().rope;
  const GgufFile& gguf = *loader.source().gguf();
  const bool has_long = loader.has("rope_factors_long.weight");
  if (has_long != loader.has("rope_factors_short.weight")) {
    return make_status(StatusCode::kModelMismatch,
                       "%s: one of rope_factors_long and rope_factors_short is missing",
                       shown_path(gguf.path()).c_str());
  }
  if (!has_long) return Status();
  std::span<const float> factors;
  MIDGE_RETURN_IF_ERROR(loader.vector("rope_factors_long.weight", rope.width / 2, &factors));
  rope.long_factors.assign(factors.begin(), factors.end());
  MIDGE_RETURN_IF_ERROR(loader.vector("rope_factors_short.weight", rope.width / 2, &factors));
  rope.short_factors.assign(factors.begin(), factors.end());
  MIDGE_ASSIGN_OR_RETURN(
      rope.original_context,
      gguf.integer("phi3.rope.scaling.original_context_length", 1, kContextLengthMax));
  MIDGE_ASSIGN_OR_RETURN(const double factor,
                         gguf.number_or("phi3.rope.scaling.attn_factor",
                                        longrope_attention_factor(loader.config().context_length,
                                                                  rope.original_context)));
  rope.attention_factor = static_cast<float>(factor);
  return Status();
}

// Converters before July 2024 (llama.cpp's pull request 8627) wrote no window. Of the models they
// knew, two have one that is shorter than their context: Phi-3-mini-4k and Phi-3-medium-4k, which
// llama.cpp recognised by these numbers (8931).
int64_t unwritten_window(const ModelConfig& config) {
  const bool layers = config.layer_count == 32 || config.layer_count == 40;
  return layers && config.context_length == 4096 ? 2047 : 0;
}

Status read_config(ModelLoader& loader) {
  ModelConfig& config = loader.config();
  const WeightSource& source = loader.source();
  if (source.kind() == SourceKind::kGguf) {
    MIDGE_RETURN_IF_ERROR(read_gguf_config(source, "phi3", &config));
    // A written 0 means none.
    MIDGE_ASSIGN_OR_RETURN(config.sliding_window,
                           source.gguf()->integer_or("phi3.attention.sliding_window", 0, INT64_MAX,
                                                     unwritten_window(config)));
    return read_rope_factors(loader);
  }
  MIDGE_RETURN_IF_ERROR(read_hugging_face_config(source, &config));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, source.config()->root());
  MIDGE_ASSIGN_OR_RETURN(config.sliding_window, root.integer_or("sliding_window", 0, INT64_MAX, 0));
  return refuse_biases(source);
}

}  // namespace

Status load_phi3(ModelLoader& loader) {
  ModelConfig& config = loader.config();
  config.family = "phi3";
  MIDGE_RETURN_IF_ERROR(read_config(loader));
  // A window that the context never fills is no window.
  if (config.sliding_window >= config.context_length) config.sliding_window = 0;
  MIDGE_RETURN_IF_ERROR(loader.check_config());
  DecoderLayout layout;
  layout.fused_qkv = true;
  layout.fused_gate_up = true;
  return loader.bind_decoder(layout);
}

}  // namespace midge
