// MiMo-7B (Base, SFT, RL) and its structural twin Qwen2. docs/models/mimo.md.
// Separate matrices, biases on q, k and v, full rotary; MiMo adds one MTP layer.
#include "engine/formats/json.h"
#include "models/config_reader.h"
#include "models/registry.h"

namespace midge {
namespace {

Status read_hugging_face(ModelLoader& loader) {
  ModelConfig& config = loader.config();
  MIDGE_RETURN_IF_ERROR(read_hugging_face_config(loader.source(), &config));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, loader.source().config()->root());
  MIDGE_ASSIGN_OR_RETURN(const bool windowed, root.boolean_or("use_sliding_window", false));
  if (windowed) {
    return make_status(StatusCode::kUnsupported, "%s: use_sliding_window is true, expected false",
                       root.name().c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(config.qkv_bias, root.boolean_or("attention_bias", true));
  MIDGE_ASSIGN_OR_RETURN(const int64_t mtp_layers,
                         root.integer_or("num_nextn_predict_layers", 0, 1, 0));
  // Re-saved checkpoints often lose the MTP layer and keep the key.
  const bool has_mtp = loader.has(std::string(kMtpPrefix) + "input_proj.weight");
  config.mtp_layer_count = has_mtp ? mtp_layers : 0;
  if (mtp_layers == 1 && !has_mtp) {
    loader.warn("the config promises an MTP layer, but its tensors are not in the files");
  }
  return Status();
}

Status load_qwen2_like(ModelLoader& loader, const char* family) {
  ModelConfig& config = loader.config();
  config.family = family;
  if (loader.source().kind() == SourceKind::kGguf) {
    config.qkv_bias = true;
    MIDGE_RETURN_IF_ERROR(read_gguf_config(loader.source(), "qwen2", &config));
  } else {
    MIDGE_RETURN_IF_ERROR(read_hugging_face(loader));
  }
  MIDGE_RETURN_IF_ERROR(loader.check_config());
  MIDGE_RETURN_IF_ERROR(loader.bind_decoder(DecoderLayout()));
  if (config.mtp_layer_count > 0) return loader.bind_mtp(kMtpPrefix);
  return Status();
}

}  // namespace

Status load_mimo(ModelLoader& loader) { return load_qwen2_like(loader, "mimo"); }
Status load_qwen2(ModelLoader& loader) { return load_qwen2_like(loader, "qwen2"); }

}  // namespace midge
