#include "models/model_loader.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/core/visible.h"
#include "engine/decoder/limits.h"

namespace midge {
namespace {

// The same tensor under its Hugging Face and its GGUF name (ggml docs, gguf-py tensor mapping).
struct DecoderNames {
  const char* embedding;
  const char* final_norm;
  const char* head;
  const char* attn_norm;
  const char* q;
  const char* k;
  const char* v;
  const char* qkv;
  const char* o;
  const char* mlp_norm;
  const char* gate;
  const char* up;
  const char* gate_up;
  const char* down;
};

constexpr DecoderNames kHuggingFaceNames = {
    "model.embed_tokens",       "model.norm",         "lm_head",
    "input_layernorm",          "self_attn.q_proj",   "self_attn.k_proj",
    "self_attn.v_proj",         "self_attn.qkv_proj", "self_attn.o_proj",
    "post_attention_layernorm", "mlp.gate_proj",      "mlp.up_proj",
    "mlp.gate_up_proj",         "mlp.down_proj"};

constexpr DecoderNames kGgufNames = {
    "token_embd", "output_norm", "output",   "attn_norm", "attn_q", "attn_k", "attn_v",
    "attn_qkv",   "attn_output", "ffn_norm", "ffn_gate",  "ffn_up", "ffn_up", "ffn_down"};

const DecoderNames& names_of(SourceKind kind) {
  return kind == SourceKind::kGguf ? kGgufNames : kHuggingFaceNames;
}

std::string weight(const std::string& name) { return name + ".weight"; }
std::string bias(const std::string& name) { return name + ".bias"; }

// Rows of a matrix that is not read whole.
constexpr int64_t kSampledRows = 16;

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace

ModelLoader::ModelLoader(std::shared_ptr<const WeightSource> source) : source_(std::move(source)) {
  parts_.storage = source_;
}

Result<const SourceTensor*> ModelLoader::expect(const std::string& name,
                                                const std::vector<int64_t>& shape) {
  const SourceTensor* tensor = source().find(name);
  if (tensor == nullptr) {
    return make_status(StatusCode::kModelMismatch, "%s: tensor '%s' is missing, expected %s",
                       shown_path(source().path()).c_str(), name.c_str(),
                       shape_to_string(shape).c_str());
  }
  if (tensor->shape != shape) {
    return make_status(StatusCode::kModelMismatch,
                       "%s: tensor '%s' is %s, expected %s by the config",
                       shown_path(*tensor->path).c_str(), name.c_str(),
                       shape_to_string(tensor->shape).c_str(), shape_to_string(shape).c_str());
  }
  if (!tensor->encoding.has_value()) {
    return make_status(StatusCode::kUnsupported,
                       "%s: tensor '%s' has type %s, which midge does not compute with",
                       shown_path(*tensor->path).c_str(), name.c_str(), tensor->type_name.c_str());
  }
  bound_.insert(name);
  return tensor;
}

Status ModelLoader::matrix(const std::string& name, int64_t n, int64_t k, WeightRows* out) {
  MIDGE_ASSIGN_OR_RETURN(const SourceTensor* tensor, expect(name, {n, k}));
  const EncodingInfo& info = encoding_info(*tensor->encoding);
  if (k % info.block_elements != 0) {
    return make_status(StatusCode::kUnsupported,
                       "%s: tensor '%s' has rows of %lld, expected a multiple of %d for %s",
                       shown_path(*tensor->path).c_str(), name.c_str(), static_cast<long long>(k),
                       info.block_elements, tensor->type_name.c_str());
  }
  out->encoding = *tensor->encoding;
  out->n = n;
  out->k = k;
  out->row_stride = encoded_row_bytes(*tensor->encoding, k);
  out->data = tensor->data;
  warn_of_bad_rows(name, *out);
  return Status();
}

void ModelLoader::warn_of_bad_rows(const std::string& name, const WeightRows& w) {
  const bool all = w.n * w.k <= scan_left_;
  if (all) scan_left_ -= w.n * w.k;
  const int64_t step = all ? 1 : std::max<int64_t>(1, w.n / kSampledRows);
  const DequantizeFunction dequantize =
      make_kernel_table().dequantize[static_cast<int>(w.encoding)];
  std::vector<float> values(static_cast<size_t>(w.k));
  std::vector<uint16_t> aligned(static_cast<size_t>(w.row_stride + 1) / 2);
  for (int64_t row = 0; row < w.n; row += step) {
    std::memcpy(aligned.data(), w.row(row), static_cast<size_t>(w.row_stride));
    const DequantizeArgs args = {w.k, aligned.data(), values.data()};
    dequantize(&args);
    if (all_finite(values)) continue;
    warn("tensor '" + name + "' holds weights that are infinite or not numbers, the first in row " +
         std::to_string(row));
    return;
  }
}

Status ModelLoader::vector(const std::string& name, int64_t n, std::span<const float>* out) {
  MIDGE_ASSIGN_OR_RETURN(const SourceTensor* tensor, expect(name, {n}));
  const EncodingInfo& info = encoding_info(*tensor->encoding);
  if (info.block_elements != 1) {
    return make_status(StatusCode::kUnsupported,
                       "%s: tensor '%s' has type %s, expected F32, F16 or BF16 for a vector",
                       shown_path(*tensor->path).c_str(), name.c_str(), tensor->type_name.c_str());
  }
  std::vector<uint16_t> aligned((tensor->bytes + 1) / 2);
  std::memcpy(aligned.data(), tensor->data, tensor->bytes);
  std::vector<float> values(static_cast<size_t>(n));
  const DequantizeArgs args = {n, aligned.data(), values.data()};
  make_kernel_table().dequantize[static_cast<int>(*tensor->encoding)](&args);
  if (!all_finite(values)) {
    warn("tensor '" + name + "' holds weights that are infinite or not numbers");
  }
  parts_.vectors.push_back(std::move(values));
  *out = parts_.vectors.back();
  return Status();
}

Status ModelLoader::check_config() const {
  return with_file_name(source().path(), midge::check_config(parts_.config));
}

Status ModelLoader::bind_layer(const std::string& prefix, const DecoderLayout& layout,
                               LayerWeights<WeightRows>* layer) {
  const ModelConfig& c = config();
  const DecoderNames& names = names_of(source().kind());
  const int64_t h = c.hidden_size;
  const int64_t q_rows = c.head_count * c.head_dim;
  const int64_t kv_rows = c.kv_head_count * c.head_dim;

  // A buffer of angles, which transformers stored before 4.32.
  if (source().kind() != SourceKind::kGguf) ignore(prefix + "self_attn.rotary_emb.inv_freq");
  MIDGE_RETURN_IF_ERROR(vector(weight(prefix + names.attn_norm), h, &layer->attn_norm));
  if (layout.fused_qkv) {
    WeightRows qkv;
    MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.qkv), q_rows + 2 * kv_rows, h, &qkv));
    layer->q = qkv.rows(0, q_rows);
    layer->k = qkv.rows(q_rows, kv_rows);
    layer->v = qkv.rows(q_rows + kv_rows, kv_rows);
  } else {
    MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.q), q_rows, h, &layer->q));
    MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.k), kv_rows, h, &layer->k));
    MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.v), kv_rows, h, &layer->v));
  }
  if (c.qkv_bias) {
    MIDGE_RETURN_IF_ERROR(vector(bias(prefix + names.q), q_rows, &layer->q_bias));
    MIDGE_RETURN_IF_ERROR(vector(bias(prefix + names.k), kv_rows, &layer->k_bias));
    MIDGE_RETURN_IF_ERROR(vector(bias(prefix + names.v), kv_rows, &layer->v_bias));
  }
  MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.o), h, q_rows, &layer->o));
  MIDGE_RETURN_IF_ERROR(vector(weight(prefix + names.mlp_norm), h, &layer->mlp_norm));
  if (layout.fused_gate_up) {
    WeightRows gate_up;
    MIDGE_RETURN_IF_ERROR(
        matrix(weight(prefix + names.gate_up), 2 * c.intermediate_size, h, &gate_up));
    layer->gate = gate_up.rows(0, c.intermediate_size);
    layer->up = gate_up.rows(c.intermediate_size, c.intermediate_size);
  } else {
    MIDGE_RETURN_IF_ERROR(
        matrix(weight(prefix + names.gate), c.intermediate_size, h, &layer->gate));
    MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + names.up), c.intermediate_size, h, &layer->up));
  }
  return matrix(weight(prefix + names.down), h, c.intermediate_size, &layer->down);
}

Status ModelLoader::bind_decoder(const DecoderLayout& layout) {
  const ModelConfig& c = config();
  const DecoderNames& names = names_of(source().kind());
  SourceWeights& weights = weights_;
  MIDGE_RETURN_IF_ERROR(
      matrix(weight(names.embedding), c.vocab_size, c.hidden_size, &weights.embedding));
  const bool gguf = source().kind() == SourceKind::kGguf;
  for (int64_t i = 0; i < c.layer_count; ++i) {
    const std::string prefix = (gguf ? "blk." : "model.layers.") + std::to_string(i) + ".";
    LayerWeights<WeightRows> layer;
    MIDGE_RETURN_IF_ERROR(bind_layer(prefix, layout, &layer));
    weights.layers.push_back(layer);
  }
  MIDGE_RETURN_IF_ERROR(vector(weight(names.final_norm), c.hidden_size, &weights.final_norm));
  const std::string head = weight(names.head);
  if (!c.tied_head) {
    return matrix(head, c.vocab_size, c.hidden_size, &weights.head);
  }
  weights.head = weights.embedding;
  if (has(head)) {
    // Some fine-tunes of tied models store a head all the same; like Hugging Face, tie. A few rows
    // tell whether it differs: reading all of both would take seconds.
    WeightRows own;
    MIDGE_RETURN_IF_ERROR(matrix(head, c.vocab_size, c.hidden_size, &own));
    bool same = own.encoding == weights.embedding.encoding;
    for (int64_t row = 0; same && row < c.vocab_size;
         row += std::max<int64_t>(1, c.vocab_size / 16)) {
      same = std::memcmp(own.rows(row, 1).data, weights.embedding.rows(row, 1).data,
                         static_cast<size_t>(own.row_stride)) == 0;
    }
    if (!same) warn("tensor '" + head + "' differs from the tied embedding and is ignored");
  }
  return Status();
}

Status ModelLoader::bind_mtp(const std::string& prefix) {
  const int64_t h = config().hidden_size;
  MtpWeights<WeightRows> mtp;
  MIDGE_RETURN_IF_ERROR(vector(weight(prefix + "token_layernorm"), h, &mtp.token_norm));
  MIDGE_RETURN_IF_ERROR(vector(weight(prefix + "hidden_layernorm"), h, &mtp.hidden_norm));
  MIDGE_RETURN_IF_ERROR(matrix(weight(prefix + "input_proj"), h, 2 * h, &mtp.input_proj));
  MIDGE_RETURN_IF_ERROR(bind_layer(prefix, DecoderLayout(), &mtp.layer));
  MIDGE_RETURN_IF_ERROR(vector(weight(prefix + "final_layernorm"), h, &mtp.final_norm));
  weights_.mtp.push_back(mtp);
  return Status();
}

Result<std::unique_ptr<Model>> ModelLoader::finish() {
  for (const SourceTensor& tensor : source().tensors()) {
    if (bound_.count(tensor.name) == 0) {
      return make_status(StatusCode::kModelMismatch,
                         "%s: tensor '%s' %s does not belong to a %s model with this config",
                         shown_path(*tensor.path).c_str(), printable(tensor.name).c_str(),
                         shape_to_string(tensor.shape).c_str(), config().family.c_str());
    }
  }
  parts_.weights = in_place(weights_);
  return std::make_unique<Model>(std::move(parts_));
}

}  // namespace midge
