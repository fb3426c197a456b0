#include "engine/decoder/model.h"

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
  int64_t count = weights().embedding.n * weights().embedding.k;
  if (!config().tied_head) count += weights().head.n * weights().head.k;
  for (const LayerWeights& layer : weights().layers) count += layer_parameters(layer);
  return count + static_cast<int64_t>(weights().final_norm.size());
}

int64_t Model::mtp_parameter_count() const {
  int64_t count = 0;
  for (const MtpWeights& mtp : weights().mtp) {
    count += layer_parameters(mtp.layer) + mtp.input_proj.n * mtp.input_proj.k +
             static_cast<int64_t>(mtp.token_norm.size() + mtp.hidden_norm.size() +
                                  mtp.final_norm.size());
  }
  return count;
}

std::vector<WeightMatrix> Model::linear_matrices() const {
  std::vector<WeightMatrix> matrices;
  for (const LayerWeights& layer : weights().layers) {
    matrices.insert(matrices.end(),
                    {layer.q, layer.k, layer.v, layer.o, layer.gate, layer.up, layer.down});
  }
  matrices.push_back(weights().head);
  return matrices;
}

}  // namespace midge
