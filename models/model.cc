#include "models/model.h"

namespace midge {
namespace {

int64_t layer_parameters(const LayerWeights& layer) {
  int64_t count = 0;
  for (const WeightMatrix* w :
       {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
    count += w->n * w->k;
  }
  for (const auto& vector :
       {layer.attn_norm, layer.q_bias, layer.k_bias, layer.v_bias, layer.mlp_norm}) {
    count += static_cast<int64_t>(vector.size());
  }
  return count;
}

}  // namespace

int64_t Model::parameter_count() const {
  int64_t count = weights_.embedding.n * weights_.embedding.k;
  if (!config_.tied_head) count += weights_.head.n * weights_.head.k;
  for (const LayerWeights& layer : weights_.layers) count += layer_parameters(layer);
  return count + static_cast<int64_t>(weights_.final_norm.size());
}

int64_t Model::mtp_parameter_count() const {
  int64_t count = 0;
  for (const MtpWeights& mtp : weights_.mtp) {
    count += layer_parameters(mtp.layer) + mtp.input_proj.n * mtp.input_proj.k +
             static_cast<int64_t>(mtp.token_norm.size() + mtp.hidden_norm.size() +
                                  mtp.final_norm.size());
  }
  return count;
}

std::vector<WeightMatrix> Model::linear_matrices() const {
  std::vector<WeightMatrix> matrices;
  for (const LayerWeights& layer : weights_.layers) {
    matrices.insert(matrices.end(),
                    {layer.q, layer.k, layer.v, layer.o, layer.gate, layer.up, layer.down});
  }
  matrices.push_back(weights_.head);
  return matrices;
}

}  // namespace midge
