#include "models/config_reader.h"

#include <algorithm>
#include <cmath>
#include "engine/core/visible.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

constexpr size_t kEosCountMax = 64;

void add_eos(std::vector<int32_t>* ids, int64_t id) {
  const auto narrow = static_cast<int32_t>(id);
  if (std::find(ids->begin(), ids->end(), narrow) == ids->end()) ids->push_back(narrow);
}

// `eos_token_id` is absent, null, one id or a list.
Status read_eos(const JsonObject& object, std::vector<int32_t>* ids) {
  if (!object.has("eos_token_id")) return Status();
  const Result<simdjson::dom::array> list = object.array("eos_token_id");
  if (!list.ok()) {
    MIDGE_ASSIGN_OR_RETURN(const int64_t id, object.integer("eos_token_id", 0, kVocabSizeMax - 1));
    add_eos(ids, id);
    return Status();
  }
  for (const simdjson::dom::element element : *list) {
    int64_t id = 0;
    if (element.get_int64().get(id) != simdjson::SUCCESS || id < 0 || id >= kVocabSizeMax ||
        ids->size() == kEosCountMax) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: 'eos_token_id' holds %s, expected up to %zu token ids",
                         object.name().c_str(), json_type_name(element), kEosCountMax);
    }
    add_eos(ids, id);
  }
  return Status();
}

Status read_factors(const JsonObject& rope, std::string_view key, std::vector<float>* factors) {
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array array, rope.array(key));
  for (const simdjson::dom::element element : array) {
    double factor = 0;
    if (element.get_double().get(factor) != simdjson::SUCCESS ||
        factors->size() == kHeadDimMax / 2) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: '%s' holds %s, expected at most %lld numbers", rope.name().c_str(),
                         std::string(key).c_str(), json_type_name(element),
                         static_cast<long long>(kHeadDimMax / 2));
    }
    factors->push_back(static_cast<float>(factor));
  }
  if (factors->empty()) {
    return make_status(StatusCode::kInvalidFile, "%s: '%s' is empty", rope.name().c_str(),
                       std::string(key).c_str());
  }
  return Status();
}

// `rope` is the object that says which kind of scaling: rope_scaling or rope_parameters.
Status read_rope_scaling(const JsonObject& root, const JsonObject& rope, ModelConfig* config) {
  MIDGE_ASSIGN_OR_RETURN(std::string_view type, rope.string_or("rope_type", ""));
  if (type.empty()) {
    MIDGE_ASSIGN_OR_RETURN(type, rope.string_or("type", "default"));
  }
  if (type == "default") return Status();
  // Early Phi-3 files say "su" or "yarn" and mean longrope, which only the factors tell from YaRN.
  const bool legacy = (type == "su" || type == "yarn") && rope.has("short_factor");
  if (type != "longrope" && !legacy) {
    return make_status(StatusCode::kUnsupported,
                       "%s: rope scaling of type '%s', expected 'default' or 'longrope'",
                       rope.name().c_str(), printable(type).c_str());
  }
  MIDGE_RETURN_IF_ERROR(read_factors(rope, "short_factor", &config->rope.short_factors));
  MIDGE_RETURN_IF_ERROR(read_factors(rope, "long_factor", &config->rope.long_factors));
  const char* key = "original_max_position_embeddings";
  const JsonObject& holder = rope.has(key) ? rope : root;
  MIDGE_ASSIGN_OR_RETURN(config->rope.original_context, holder.integer(key, 1, kContextLengthMax));
  MIDGE_ASSIGN_OR_RETURN(
      const double factor,
      rope.number_or("attention_factor", longrope_attention_factor(config->context_length,
                                                                   config->rope.original_context)));
  config->rope.attention_factor = static_cast<float>(factor);
  return Status();
}

Status read_rope(const JsonObject& root, ModelConfig* config) {
  double theta = 10000.0;
  double partial = 1.0;
  MIDGE_ASSIGN_OR_RETURN(theta, root.number_or("rope_theta", theta));
  MIDGE_ASSIGN_OR_RETURN(partial, root.number_or("partial_rotary_factor", partial));
  if (root.has("rope_parameters")) {
    MIDGE_ASSIGN_OR_RETURN(const JsonObject rope, root.object("rope_parameters"));
    MIDGE_ASSIGN_OR_RETURN(theta, rope.number_or("rope_theta", theta));
    MIDGE_ASSIGN_OR_RETURN(partial, rope.number_or("partial_rotary_factor", partial));
    MIDGE_RETURN_IF_ERROR(read_rope_scaling(root, rope, config));
  } else if (root.has("rope_scaling")) {
    MIDGE_ASSIGN_OR_RETURN(const JsonObject rope, root.object("rope_scaling"));
    MIDGE_RETURN_IF_ERROR(read_rope_scaling(root, rope, config));
  }
  if (!(partial > 0 && partial <= 1)) {
    return make_status(StatusCode::kInvalidFile, "%s: partial_rotary_factor is %g, expected 0..1",
                       root.name().c_str(), partial);
  }
  config->rope.theta = static_cast<float>(theta);
  // transformers truncates the product.
  config->rope.width = static_cast<int64_t>(static_cast<double>(config->head_dim) * partial);
  return Status();
}

// Position scaling under its key, and under the one that converters used in 2023. A factor of 0 or
// 1 scales nothing; what else is written would change every angle, so it must not be overlooked.
Status refuse_gguf_rope_scaling(const WeightSource& source, const std::string& architecture) {
  const GgufFile& gguf = *source.gguf();
  // Converters write Llama 3.1's scaling as factors of the angles, and no key.
  if (source.find("rope_freqs.weight") != nullptr) {
    return make_status(StatusCode::kUnsupported,
                       "%s: tensor 'rope_freqs.weight': rope scaling as Llama 3.1 has it, which "
                       "midge does not compute",
                       shown_path(gguf.path()).c_str());
  }
  const std::string type_key = architecture + ".rope.scaling.type";
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type,
                         gguf.string_or(type_key, kGgufNameBytesMax, "linear"));
  const bool longrope = type == "longrope" && source.find("rope_factors_long.weight") != nullptr;
  if (type == "none" || longrope) return Status();
  if (type != "linear") {
    return make_status(StatusCode::kUnsupported,
                       "%s: '%s' is '%s', expected 'none', 'linear' with factor 1, or 'longrope' "
                       "with tensor 'rope_factors_long.weight'",
                       shown_path(gguf.path()).c_str(), type_key.c_str(), printable(type).c_str());
  }
  for (const char* name : {".rope.scaling.factor", ".rope.scale_linear"}) {
    MIDGE_ASSIGN_OR_RETURN(const double factor, gguf.number_or(architecture + name, 1.0));
    if (factor != 0.0 && factor != 1.0) {
      return make_status(StatusCode::kUnsupported, "%s: '%s%s' is %g, expected 1",
                         shown_path(gguf.path()).c_str(), architecture.c_str(), name, factor);
    }
  }
  return Status();
}

}  // namespace

float longrope_attention_factor(int64_t context, int64_t original) {
  if (context <= original || original < 2) return 1.0f;
  const double ratio = static_cast<double>(context) / static_cast<double>(original);
  return static_cast<float>(
      std::sqrt(1.0 + std::log(ratio) / std::log(static_cast<double>(original))));
}

Status read_hugging_face_config(const WeightSource& source, ModelConfig* config) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, source.config()->root());
  ModelConfig& c = *config;
  MIDGE_ASSIGN_OR_RETURN(c.hidden_size, root.integer("hidden_size", 1, kHiddenSizeMax));
  MIDGE_ASSIGN_OR_RETURN(c.layer_count, root.integer("num_hidden_layers", 1, kLayerCountMax));
  MIDGE_ASSIGN_OR_RETURN(c.intermediate_size,
                         root.integer("intermediate_size", 1, kIntermediateSizeMax));
  MIDGE_ASSIGN_OR_RETURN(c.head_count, root.integer("num_attention_heads", 1, kHeadCountMax));
  MIDGE_ASSIGN_OR_RETURN(c.kv_head_count,
                         root.integer_or("num_key_value_heads", 1, kHeadCountMax, c.head_count));
  if (!root.has("head_dim") && c.hidden_size % c.head_count != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: hidden_size %lld, expected a multiple of the %lld heads",
                       root.name().c_str(), static_cast<long long>(c.hidden_size),
                       static_cast<long long>(c.head_count));
  }
  MIDGE_ASSIGN_OR_RETURN(c.head_dim,
                         root.integer_or("head_dim", 1, kHeadDimMax, c.hidden_size / c.head_count));
  MIDGE_ASSIGN_OR_RETURN(c.vocab_size, root.integer("vocab_size", 1, kVocabSizeMax));
  MIDGE_ASSIGN_OR_RETURN(c.context_length,
                         root.integer("max_position_embeddings", 1, kContextLengthMax));
  MIDGE_ASSIGN_OR_RETURN(const double epsilon, root.number("rms_norm_eps"));
  c.rms_epsilon = static_cast<float>(epsilon);
  MIDGE_ASSIGN_OR_RETURN(c.tied_head, root.boolean_or("tie_word_embeddings", false));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view activation, root.string_or("hidden_act", "silu"));
  if (activation != "silu") {
    return make_status(StatusCode::kUnsupported, "%s: hidden_act is '%s', expected 'silu'",
                       root.name().c_str(), printable(activation).c_str());
  }
  MIDGE_RETURN_IF_ERROR(read_rope(root, config));
  MIDGE_RETURN_IF_ERROR(read_eos(root, &c.eos_ids));
  if (source.generation_config() != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(const JsonObject generation, source.generation_config()->root());
    MIDGE_RETURN_IF_ERROR(read_eos(generation, &c.eos_ids));
  }
  return Status();
}

Status refuse_biases(const WeightSource& source) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, source.config()->root());
  for (const char* key : {"attention_bias", "mlp_bias", "lm_head_bias"}) {
    MIDGE_ASSIGN_OR_RETURN(const bool present, root.boolean_or(key, false));
    if (present) {
      return make_status(StatusCode::kUnsupported, "%s: '%s' is true, expected false",
                         root.name().c_str(), key);
    }
  }
  return Status();
}

Status read_gguf_config(const WeightSource& source, const std::string& architecture,
                        ModelConfig* config) {
  const GgufFile& gguf = *source.gguf();
  const auto key = [&](const char* name) { return architecture + "." + name; };
  ModelConfig& c = *config;
  MIDGE_ASSIGN_OR_RETURN(c.hidden_size, gguf.integer(key("embedding_length"), 1, kHiddenSizeMax));
  MIDGE_ASSIGN_OR_RETURN(c.layer_count, gguf.integer(key("block_count"), 1, kLayerCountMax));
  MIDGE_ASSIGN_OR_RETURN(c.intermediate_size,
                         gguf.integer(key("feed_forward_length"), 1, kIntermediateSizeMax));
  MIDGE_ASSIGN_OR_RETURN(c.head_count, gguf.integer(key("attention.head_count"), 1, kHeadCountMax));
  MIDGE_ASSIGN_OR_RETURN(c.kv_head_count, gguf.integer_or(key("attention.head_count_kv"), 1,
                                                          kHeadCountMax, c.head_count));
  if (!gguf.has(key("attention.key_length")) && c.hidden_size % c.head_count != 0) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: embedding_length %lld, expected a multiple of the %lld heads",
                       shown_path(gguf.path()).c_str(), static_cast<long long>(c.hidden_size),
                       static_cast<long long>(c.head_count));
  }
  MIDGE_ASSIGN_OR_RETURN(c.head_dim, gguf.integer_or(key("attention.key_length"), 1, kHeadDimMax,
                                                     c.hidden_size / c.head_count));
  MIDGE_ASSIGN_OR_RETURN(const int64_t value_length, gguf.integer_or(key("attention.value_length"),
                                                                     1, kHeadDimMax, c.head_dim));
  if (value_length != c.head_dim) {
    return make_status(StatusCode::kUnsupported, "%s: values of %lld, expected %lld like the keys",
                       shown_path(gguf.path()).c_str(), static_cast<long long>(value_length),
                       static_cast<long long>(c.head_dim));
  }
  MIDGE_ASSIGN_OR_RETURN(c.context_length,
                         gguf.integer(key("context_length"), 1, kContextLengthMax));
  MIDGE_ASSIGN_OR_RETURN(const double epsilon,
                         gguf.number(key("attention.layer_norm_rms_epsilon")));
  c.rms_epsilon = static_cast<float>(epsilon);
  MIDGE_ASSIGN_OR_RETURN(const double theta, gguf.number_or(key("rope.freq_base"), 10000.0));
  c.rope.theta = static_cast<float>(theta);
  MIDGE_RETURN_IF_ERROR(refuse_gguf_rope_scaling(source, architecture));
  MIDGE_ASSIGN_OR_RETURN(c.rope.width,
                         gguf.integer_or(key("rope.dimension_count"), 1, kHeadDimMax, c.head_dim));
  const SourceTensor* table = source.find("token_embd.weight");
  if (table == nullptr || table->shape.size() != 2) {
    return make_status(StatusCode::kModelMismatch,
                       "%s: tensor 'token_embd.weight' is missing or not a matrix",
                       shown_path(gguf.path()).c_str());
  }
  // The table is the truth; the optional key only repeats it.
  MIDGE_ASSIGN_OR_RETURN(c.vocab_size,
                         gguf.integer_or(key("vocab_size"), 1, kVocabSizeMax, table->shape[0]));
  c.tied_head = source.find("output.weight") == nullptr;
  for (const char* name : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                           "tokenizer.ggml.eom_token_id"}) {
    if (!gguf.has(name)) continue;
    MIDGE_ASSIGN_OR_RETURN(const int64_t id, gguf.integer(name, 0, kVocabSizeMax - 1));
    add_eos(&c.eos_ids, id);
  }
  return Status();
}

}  // namespace midge
