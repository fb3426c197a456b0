// Hyperparameters that all families spell alike, from config.json and from GGUF metadata.
#pragma once

#include "models/model_loader.h"

namespace midge {

/// Fills `config` from the keys that every Hugging Face decoder config shares: sizes, heads, norms,
/// rope (old `rope_theta` + `rope_scaling` and new `rope_parameters`), context, ties, end ids.
/// Refuses activations and rope types other than the ones midge computes.
Status read_hugging_face_config(const WeightSource& source, ModelConfig* config);

/// The same from GGUF metadata `<architecture>.*`. Refuses position scaling other than longrope by
/// factor tensors (unsupported).
Status read_gguf_config(const WeightSource& source, const std::string& architecture,
                        ModelConfig* config);

/// Refuses a config.json that switches on biases which the family does not have (unsupported).
Status refuse_biases(const WeightSource& source);

/// sqrt(1 + ln(context / original) / ln(original)), at least 1: the factor of longrope
/// (Ding et al. 2024, arXiv 2402.13753; as in transformers' rope utilities).
float longrope_attention_factor(int64_t context, int64_t original);

}  // namespace midge
