#include "engine/decoder/model.h"

#include <cstring>
#include <map>

namespace midge {
namespace {

PreparedMatrix in_place(const WeightRows& rows) {
  PreparedMatrix matrix;
  matrix.rows = rows;
  return matrix;
}

LayerWeights<PreparedMatrix> in_place(const LayerWeights<WeightRows>& layer) {
  return {.attn_norm = layer.attn_norm,
          .q = in_place(layer.q),
          .k = in_place(layer.k),
          .v = in_place(layer.v),
          .q_bias = layer.q_bias,
          .k_bias = layer.k_bias,
          .v_bias = layer.v_bias,
          .o = in_place(layer.o),
          .mlp_norm = layer.mlp_norm,
          .gate = in_place(layer.gate),
          .up = in_place(layer.up),
          .down = in_place(layer.down)};
}

}  // namespace

Status Model::copy_odd_matrices() {
  std::map<const void*, const void*> copies;  // a tied head is the embedding
  Status status;
  const auto copy = [&](const std::string& name, PreparedMatrix& prepared) {
    WeightRows& matrix = prepared.rows;
    if (!status.ok() || reinterpret_cast<uintptr_t>(matrix.data) % 2 == 0) return;
    const auto [entry, is_new] = copies.emplace(matrix.data, nullptr);
    if (is_new) {
      Result<AlignedBuffer> buffer = AlignedBuffer::create(matrix.bytes(), name.c_str());
      status = buffer.status();
      if (!status.ok()) return;
      std::memcpy(buffer->data(), matrix.data, static_cast<size_t>(matrix.bytes()));
      entry->second = buffer->data();
      parts_.copies.push_back(std::move(*buffer));
    }
    matrix.data = entry->second;
  };
  copy("embedding", parts_.weights.embedding);
  visit_linear_matrices(parts_.weights, copy);
  return status;
}

PreparedWeights in_place(const SourceWeights& weights) {
  PreparedWeights prepared;
  prepared.embedding = in_place(weights.embedding);
  for (const auto& layer : weights.layers) prepared.layers.push_back(in_place(layer));
  prepared.final_norm = weights.final_norm;
  prepared.head = in_place(weights.head);
  for (const auto& mtp : weights.mtp) {
    prepared.mtp.push_back({.token_norm = mtp.token_norm,
                            .hidden_norm = mtp.hidden_norm,
                            .input_proj = in_place(mtp.input_proj),
                            .layer = in_place(mtp.layer),
                            .final_norm = mtp.final_norm});
  }
  return prepared;
}

int64_t Model::parameter_count() const { return count_parameters(false); }

int64_t Model::mtp_parameter_count() const { return count_parameters(true); }

int64_t Model::count_parameters(bool of_mtp) const {
  int64_t count = 0;
  visit_linear_matrices(weights(), [&](const std::string& name, const PreparedMatrix& w) {
    if (is_of_mtp(name) == of_mtp) count += w.n() * w.k();
  });
  visit_vectors(weights(), [&](const std::string& name, std::span<const float> vector) {
    if (is_of_mtp(name) == of_mtp) count += static_cast<int64_t>(vector.size());
  });
  if (!of_mtp && !config().tied_head) count += weights().embedding.n() * weights().embedding.k();
  return count;
}

int64_t Model::token_bytes() const {
  int64_t bytes = 0;
  visit_linear_matrices(weights(), [&](const std::string& name, const PreparedMatrix& w) {
    if (!is_of_mtp(name)) bytes += w.bytes();
  });
  return bytes;
}

}  // namespace midge
