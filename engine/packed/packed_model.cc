#include "engine/packed/packed_model.h"

#include <map>
#include <string>
#include <string_view>

#include "engine/core/visible.h"
#include "engine/packed/packed_acceptance.h"
#include "engine/packed/packed_tokenizer.h"
#include "engine/packed/tensor_directory.h"
#include "engine/weights/pack.h"

namespace midge {
namespace {

constexpr uint64_t kTensorAlignment = 64;

// Binds the tensors of a file to the weights of a model, by their names.
class TensorBinder {
 public:
  TensorBinder(const PackedFile& file, const std::vector<PackedTensor>& tensors) : file_(file) {
    for (const PackedTensor& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
  }

  Status matrix(const std::string& name, int64_t n, int64_t k, PreparedMatrix* out);
  Status vector(const std::string& name, int64_t n, std::span<const float>* out);

 private:
  Result<const PackedTensor*> find(const std::string& name) const;
  // The bytes of a part of a tensor.
  Result<const uint8_t*> place(const PackedTensor& tensor, uint64_t offset, int64_t bytes) const;
  Result<WeightTiles> tiles(const PackedTensor& tensor, const std::string& encoding, int64_t k,
                            uint64_t offset) const;

  const PackedFile& file_;
  std::map<std::string_view, const PackedTensor*> by_name_;
};

Status mismatch(const PackedTensor& tensor, int64_t n, int64_t k) {
  return make_status(StatusCode::kModelMismatch,
                     "tensor '%s' has %lld rows of %lld and %lld, expected %lld of %lld by the "
                     "config",
                     printable(tensor.name).c_str(), static_cast<long long>(tensor.n),
                     static_cast<long long>(tensor.columns),
                     static_cast<long long>(tensor.tail_columns), static_cast<long long>(n),
                     static_cast<long long>(k));
}

Status unsupported(const PackedTensor& tensor, const char* what, const std::string& found) {
  return make_status(StatusCode::kUnsupported, "tensor '%s' has %s '%s', which is not known here",
                     printable(tensor.name).c_str(), what, printable(found).c_str());
}

Result<const PackedTensor*> TensorBinder::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) return found->second;
  return make_status(StatusCode::kModelMismatch, "tensor '%s' is missing", name.c_str());
}

Result<const uint8_t*> TensorBinder::place(const PackedTensor& tensor, uint64_t offset,
                                           int64_t bytes) const {
  const std::span<const uint8_t> section = file_.bytes(tensor.section);
  const auto size = static_cast<uint64_t>(bytes);
  if (offset % kTensorAlignment == 0 && offset <= section.size() &&
      size <= section.size() - offset) {
    return section.data() + offset;
  }
  return make_status(
      StatusCode::kInvalidFile, "tensor '%s' is %lld bytes at %llu of section '%s', which has %zu",
      printable(tensor.name).c_str(), static_cast<long long>(bytes),
      static_cast<unsigned long long>(offset), printable(tensor.section).c_str(), section.size());
}

Result<WeightTiles> TensorBinder::tiles(const PackedTensor& tensor, const std::string& name,
                                        int64_t k, uint64_t offset) const {
  WeightTiles tiles;
  if (!find_encoding(name, &tiles.encoding) || packed_info(tiles.encoding).unit_elements == 0) {
    return unsupported(tensor, "encoding", name);
  }
  // Super-blocks are whole.
  const int64_t unit = packed_info(tiles.encoding).unit_elements;
  if (unit == kPanelColumns && k % unit != 0) {
    return mismatch(tensor, tensor.n, tensor.columns + tensor.tail_columns);
  }
  tiles.n = tensor.n;
  tiles.k = k;
  MIDGE_ASSIGN_OR_RETURN(tiles.data, place(tensor, offset, tiles.bytes()));
  return tiles;
}

Status TensorBinder::matrix(const std::string& name, int64_t n, int64_t k, PreparedMatrix* out) {
  MIDGE_ASSIGN_OR_RETURN(const PackedTensor* tensor, find(name));
  // One by one: a sum of what the file says could be anything.
  const bool has_tail = !tensor->tail_encoding.empty();
  if (tensor->n != n || tensor->columns < 1 || tensor->columns > k) {
    return mismatch(*tensor, n, k);
  }
  const int64_t tail = k - tensor->columns;
  if (tensor->tail_columns != tail || has_tail != (tail > 0)) return mismatch(*tensor, n, k);
  if (tensor->layout == kLayoutTiles) {
    out->form = PreparedMatrix::Form::kTiles;
    MIDGE_ASSIGN_OR_RETURN(out->tiles,
                           tiles(*tensor, tensor->encoding, tensor->columns, tensor->offset));
    if (!has_tail) return Status();
    // The main part ends with a whole block, and activations are quantised in these.
    if (tensor->columns % kPanelColumns != 0) return mismatch(*tensor, n, k);
    MIDGE_ASSIGN_OR_RETURN(out->tail,
                           tiles(*tensor, tensor->tail_encoding, tail, tensor->tail_offset));
    // Both parts are multiplied with the same activations, quantised or not.
    const Encoding expected = tail_encoding(out->tiles.encoding);
    if (out->tail.encoding != expected || expected == out->tiles.encoding) {
      return unsupported(*tensor, "a tail behind its encoding of", tensor->tail_encoding);
    }
    return Status();
  }
  if (tensor->layout != kLayoutRows || has_tail) {
    return unsupported(*tensor, "layout", tensor->layout);
  }
  WeightRows& rows = out->rows;
  if (!find_encoding(tensor->encoding, &rows.encoding)) {
    return unsupported(*tensor, "encoding", tensor->encoding);
  }
  if (k % encoding_info(rows.encoding).block_elements != 0) return mismatch(*tensor, n, k);
  rows.n = n;
  rows.k = k;
  rows.row_stride = encoded_row_bytes(rows.encoding, k);
  MIDGE_ASSIGN_OR_RETURN(rows.data, place(*tensor, tensor->offset, rows.bytes()));
  return Status();
}

Status TensorBinder::vector(const std::string& name, int64_t n, std::span<const float>* out) {
  MIDGE_ASSIGN_OR_RETURN(const PackedTensor* tensor, find(name));
  if (tensor->n != n || tensor->columns != 1 || tensor->tail_columns != 0) {
    return mismatch(*tensor, n, 1);
  }
  if (tensor->layout != kLayoutVector) return unsupported(*tensor, "layout", tensor->layout);
  const int64_t bytes = n * static_cast<int64_t>(sizeof(float));
  MIDGE_ASSIGN_OR_RETURN(const uint8_t* at, place(*tensor, tensor->offset, bytes));
  *out = {reinterpret_cast<const float*>(at), static_cast<size_t>(n)};
  return Status();
}

Status bind_layer(TensorBinder& binder, const ModelConfig& c, const std::string& prefix,
                  LayerWeights<PreparedMatrix>* layer) {
  const int64_t h = c.hidden_size;
  const int64_t q_rows = c.head_count * c.head_dim;
  const int64_t kv_rows = c.kv_head_count * c.head_dim;
  MIDGE_RETURN_IF_ERROR(binder.vector(prefix + "attn_norm", h, &layer->attn_norm));
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "q", q_rows, h, &layer->q));
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "k", kv_rows, h, &layer->k));
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "v", kv_rows, h, &layer->v));
  if (c.qkv_bias) {
    MIDGE_RETURN_IF_ERROR(binder.vector(prefix + "q_bias", q_rows, &layer->q_bias));
    MIDGE_RETURN_IF_ERROR(binder.vector(prefix + "k_bias", kv_rows, &layer->k_bias));
    MIDGE_RETURN_IF_ERROR(binder.vector(prefix + "v_bias", kv_rows, &layer->v_bias));
  }
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "o", h, q_rows, &layer->o));
  MIDGE_RETURN_IF_ERROR(binder.vector(prefix + "mlp_norm", h, &layer->mlp_norm));
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "gate", c.intermediate_size, h, &layer->gate));
  MIDGE_RETURN_IF_ERROR(binder.matrix(prefix + "up", c.intermediate_size, h, &layer->up));
  return binder.matrix(prefix + "down", h, c.intermediate_size, &layer->down);
}

Status bind_weights(TensorBinder& binder, const ModelConfig& c, PreparedWeights* weights) {
  const int64_t h = c.hidden_size;
  weights->layers.resize(static_cast<size_t>(c.layer_count));
  for (size_t i = 0; i < weights->layers.size(); ++i) {
    MIDGE_RETURN_IF_ERROR(
        bind_layer(binder, c, "layers." + std::to_string(i) + ".", &weights->layers[i]));
  }
  MIDGE_RETURN_IF_ERROR(binder.vector("final_norm", h, &weights->final_norm));
  MIDGE_RETURN_IF_ERROR(binder.matrix("head", c.vocab_size, h, &weights->head));
  if (c.tied_head) {
    weights->embedding = weights->head;
  } else {
    MIDGE_RETURN_IF_ERROR(binder.matrix("embedding", c.vocab_size, h, &weights->embedding));
  }
  if (c.mtp_layer_count == 0) return Status();
  MtpWeights<PreparedMatrix>& mtp = weights->mtp.emplace_back();
  MIDGE_RETURN_IF_ERROR(binder.vector("mtp.token_norm", h, &mtp.token_norm));
  MIDGE_RETURN_IF_ERROR(binder.vector("mtp.hidden_norm", h, &mtp.hidden_norm));
  MIDGE_RETURN_IF_ERROR(binder.matrix("mtp.input_proj", h, 2 * h, &mtp.input_proj));
  MIDGE_RETURN_IF_ERROR(bind_layer(binder, c, "mtp.", &mtp.layer));
  return binder.vector("mtp.final_norm", h, &mtp.final_norm);
}

}  // namespace

Result<std::unique_ptr<Model>> open_packed_model(std::shared_ptr<const PackedFile> file) {
  const std::string& path = file->path();
  ModelParts parts;
  {
    Result<ModelConfig> config = read_config(file->bytes("config"));
    if (!config.ok()) return with_file_name(path, config.status());
    parts.config = std::move(*config);
  }
  const Result<std::vector<PackedTensor>> tensors = read_tensors(file->bytes("tensors"));
  if (!tensors.ok()) return with_file_name(path, tensors.status());
  TensorBinder binder(*file, *tensors);
  MIDGE_RETURN_IF_ERROR(with_file_name(path, bind_weights(binder, parts.config, &parts.weights)));
  MIDGE_ASSIGN_OR_RETURN(parts.mtp_acceptance, read_acceptance(*file));
  parts.storage = std::move(file);
  return std::make_unique<Model>(std::move(parts));
}

Result<Tokenizer> open_packed_tokenizer(std::shared_ptr<const PackedFile> file) {
  const std::string path = file->path();
  const PackedSection* section = file->find("tokenizer");
  if (section == nullptr) {
    return make_status(StatusCode::kUnsupported, "%s: no tokenizer in the file",
                       shown_path(path).c_str());
  }
  const std::span<const uint8_t> bytes = file->bytes(*section);
  return read_packed_tokenizer(path, bytes, std::move(file));
}

Status verify_packed_model(const PackedFile& file,
                           const std::function<void(int64_t, int64_t)>& on_progress) {
  const Status status = file.verify(on_progress);
  if (status.ok()) return status;
  const Result<std::vector<PackedTensor>> tensors = read_tensors(file.bytes("tensors"));
  if (!tensors.ok()) return status;
  for (const PackedTensor& tensor : *tensors) {
    const std::span<const uint8_t> section = file.bytes(tensor.section);
    if (tensor.offset > section.size() || tensor.bytes > section.size() - tensor.offset) continue;
    const auto bytes = section.subspan(tensor.offset, static_cast<size_t>(tensor.bytes));
    if (short_hash(bytes) == tensor.checksum) continue;
    return make_status(StatusCode::kInvalidFile,
                       "%s: tensor '%s' is damaged: its checksum differs (section '%s')",
                       shown_path(file.path()).c_str(), printable(tensor.name).c_str(),
                       printable(tensor.section).c_str());
  }
  return status;
}

}  // namespace midge
