// A loaded model: what the runtime needs to know, and the weights in place.
//
// All families here are one kind of network, a pre-norm decoder: grouped-query attention with
// rotary positions and a SwiGLU MLP. What differs between them (biases, fused files, partial
// rotary, longrope, a tied head, an MTP layer) is data in these structs, filled by the family's
// file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/ops/ops.h"
#include "engine/weights/weight_storage.h"

namespace midge {

/// Rotary embedding. Frequency j is 1 / (factor[j] * theta^(2j / width)); cos and sin are scaled by
/// attention_factor. All numbers are kept as the f32 values that files hold.
struct RopeConfig {
  int64_t width = 0;         ///< rotated elements of a head, even
  bool interleaved = false;  ///< pairs (2j, 2j + 1) instead of (j, j + width / 2)
  float theta = 0;
  float attention_factor = 1;
  std::vector<float> short_factors;  ///< [width / 2], or empty: all ones
  std::vector<float> long_factors;   ///< [width / 2], or empty: no second regime
  int64_t original_context = 0;      ///< longest sequence of the short regime

  bool has_regimes() const { return !long_factors.empty(); }
};

/// Hyperparameters, as checked against the tensors.
struct ModelConfig {
  std::string family;  ///< as models/registry.cc names it
  int64_t hidden_size = 0;
  int64_t layer_count = 0;
  int64_t intermediate_size = 0;
  int64_t head_count = 0;
  int64_t kv_head_count = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;  ///< rows of the embedding table; tokens may be fewer
  float rms_epsilon = 0;
  RopeConfig rope;
  int64_t context_length = 0;
  int64_t sliding_window = 0;  ///< keys a query sees, itself included; 0: all
  bool qkv_bias = false;
  bool tied_head = false;
  int64_t mtp_layer_count = 0;   ///< 0 or 1
  std::vector<int32_t> eos_ids;  ///< from every place the files name one; unique

  AttentionShape attention() const { return {head_count, kv_head_count, head_dim, sliding_window}; }
};

/// One decoder layer. Vectors are f32. Matrix: WeightRows, or PreparedMatrix.
template <typename Matrix>
struct LayerWeights {
  std::span<const float> attn_norm;  // [hidden_size]
  Matrix q;                          // [head_count * head_dim, hidden_size]
  Matrix k;                          // [kv_head_count * head_dim, hidden_size]
  Matrix v;                          // [kv_head_count * head_dim, hidden_size]
  std::span<const float> q_bias;     // empty without
  std::span<const float> k_bias;
  std::span<const float> v_bias;
  Matrix o;                         // [hidden_size, head_count * head_dim]
  std::span<const float> mlp_norm;  // [hidden_size]
  Matrix gate;                      // [intermediate_size, hidden_size]
  Matrix up;                        // [intermediate_size, hidden_size]
  Matrix down;                      // [hidden_size, intermediate_size]
};

/// A multi-token-prediction layer: from the hidden state of token i and token i + 1, a guess of
/// token i + 2. Shares embedding and head with its model.
template <typename Matrix>
struct MtpWeights {
  std::span<const float> token_norm;   // [hidden_size]
  std::span<const float> hidden_norm;  // [hidden_size]
  Matrix input_proj;                   // [hidden_size, 2 * hidden_size], hidden state first
  LayerWeights<Matrix> layer;
  std::span<const float> final_norm;  // [hidden_size]
};

template <typename Matrix>
struct DecoderWeights {
  Matrix embedding;  // [vocab_size, hidden_size]
  std::vector<LayerWeights<Matrix>> layers;
  std::span<const float> final_norm;    // [hidden_size]
  Matrix head;                          // [vocab_size, hidden_size]; the embedding if tied
  std::vector<MtpWeights<Matrix>> mtp;  // mtp_layer_count
};

/// As the files have them.
using SourceWeights = DecoderWeights<WeightRows>;
/// As the forward pass computes with them.
using PreparedWeights = DecoderWeights<PreparedMatrix>;

/// Calls visit(name, matrix) for every matrix that is multiplied with, in a fixed order: layers,
/// MTP layers, head. Names are stable: "layers.0.q", "mtp.input_proj", "head".
template <typename Weights, typename Visit>
void visit_linear_matrices(Weights& weights, const Visit& visit) {
  const auto visit_layer = [&](auto& layer, const std::string& prefix) {
    visit(prefix + "q", layer.q);
    visit(prefix + "k", layer.k);
    visit(prefix + "v", layer.v);
    visit(prefix + "o", layer.o);
    visit(prefix + "gate", layer.gate);
    visit(prefix + "up", layer.up);
    visit(prefix + "down", layer.down);
  };
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    visit_layer(weights.layers[i], "layers." + std::to_string(i) + ".");
  }
  for (auto& mtp : weights.mtp) {
    visit(std::string("mtp.input_proj"), mtp.input_proj);
    visit_layer(mtp.layer, "mtp.");
  }
  visit(std::string("head"), weights.head);
}

/// The same for every matrix: a table that is not the head comes first, as "embedding".
template <typename Weights, typename Visit>
void visit_matrices(Weights& weights, bool tied_head, const Visit& visit) {
  if (!tied_head) visit(std::string("embedding"), weights.embedding);
  visit_linear_matrices(weights, visit);
}

/// Calls visit(name, vector) for every norm and bias, those that are empty included: "final_norm",
/// "layers.0.attn_norm", "mtp.token_norm".
template <typename Weights, typename Visit>
void visit_vectors(Weights& weights, const Visit& visit) {
  const auto visit_layer = [&](auto& layer, const std::string& prefix) {
    visit(prefix + "attn_norm", layer.attn_norm);
    visit(prefix + "q_bias", layer.q_bias);
    visit(prefix + "k_bias", layer.k_bias);
    visit(prefix + "v_bias", layer.v_bias);
    visit(prefix + "mlp_norm", layer.mlp_norm);
  };
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    visit_layer(weights.layers[i], "layers." + std::to_string(i) + ".");
  }
  visit(std::string("final_norm"), weights.final_norm);
  for (auto& mtp : weights.mtp) {
    visit(std::string("mtp.token_norm"), mtp.token_norm);
    visit(std::string("mtp.hidden_norm"), mtp.hidden_norm);
    visit_layer(mtp.layer, "mtp.");
    visit(std::string("mtp.final_norm"), mtp.final_norm);
  }
}

/// True for the matrices and vectors of the MTP layer.
inline bool is_of_mtp(std::string_view name) { return name.starts_with("mtp."); }

/// Every matrix in place.
PreparedWeights in_place(const SourceWeights& weights);

/// How many drafts of the MTP layer were right, by the hidden states that it read.
struct MtpAcceptance {
  struct Count {
    int64_t read = 0;
    int64_t right = 0;
    friend bool operator==(const Count&, const Count&) = default;
  };
  Count before_norm;  ///< of the model's final norm
  Count behind_norm;

  bool is_measured() const { return before_norm.read > 0 && behind_norm.read > 0; }
  /// Which states it should read: those before the norm unless the others did better.
  bool takes_normed() const {
    return behind_norm.right * before_norm.read > before_norm.right * behind_norm.read;
  }
  friend bool operator==(const MtpAcceptance&, const MtpAcceptance&) = default;
};

/// What a model is made of.
struct ModelParts {
  ModelConfig config;
  PreparedWeights weights;                       ///< rows in place, or tiles of a packed file
  std::shared_ptr<const WeightStorage> storage;  ///< of these matrices
  std::vector<std::vector<float>> vectors;       ///< norms, biases and rope factors as f32
  std::vector<AlignedBuffer> copies;             ///< tensors on odd addresses in their file
  std::vector<std::string> warnings;             ///< odd but harmless things, one line each
  MtpAcceptance mtp_acceptance;                  ///< as kept in a packed file
};

/// A model ready to run. Immutable; shared by any number of sessions and threads.
class Model {
 public:
  explicit Model(ModelParts parts) : parts_(std::move(parts)) {}

  /// Copies the matrices on odd addresses: kernels read 16-bit words. For whoever opens the model,
  /// once nothing can refuse it any more: it may be all of them. Errors: out_of_memory.
  Status copy_odd_matrices();

  const ModelConfig& config() const { return parts_.config; }
  const PreparedWeights& weights() const { return parts_.weights; }
  const WeightStorage& storage() const { return *parts_.storage; }
  /// What was odd but harmless in the files, one line each.
  const std::vector<std::string>& warnings() const { return parts_.warnings; }
  /// Zeros if it was not measured.
  const MtpAcceptance& mtp_acceptance() const { return parts_.mtp_acceptance; }
  /// Weights in all matrices and vectors, MTP layers not included / alone.
  int64_t parameter_count() const;
  int64_t mtp_parameter_count() const;
  /// Bytes of the matrices that a decoded token passes through: those of the layers and the head.
  int64_t token_bytes() const;

 private:
  int64_t count_parameters(bool of_mtp) const;

  ModelParts parts_;
};

}  // namespace midge
