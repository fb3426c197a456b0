// How well a model predicts a text, and how far its predictions are from another model's.
#pragma once

#include <functional>
#include <span>

#include "engine/session/session.h"

namespace midge {

struct PerplexityResult {
  int64_t tokens = 0;  ///< of the text
  int64_t scored = 0;  ///< tokens that had a prediction
  int64_t windows = 0;
  double nll_sum = 0;     ///< natural logarithm
  double perplexity = 0;  ///< exp(nll_sum / scored)
};

/// Cuts `tokens` into consecutive windows of `window` tokens, the last one shorter (left out if it
/// has fewer than 2); runs each alone from position 0 and scores its tokens 1 .. window - 1 by the
/// softmax over the whole vocabulary, padding rows included. window: 2..session's context length.
/// role: that of every token, which decides the arithmetic of packed weights in the layers.
/// on_window, if given, gets the result so far; returning false ends with `cancelled`.
/// The session is emptied. Errors: invalid_argument (window, fewer than 2 tokens), those of step.
Result<PerplexityResult> measure_perplexity(
    Session& session, std::span<const int32_t> tokens, int64_t window, RowRole role,
    const std::function<bool(const PerplexityResult&)>& on_window);

/// The same text under a model and under a reference.
struct DivergenceResult {
  PerplexityResult model;
  PerplexityResult reference;
  /// Kullback-Leibler divergence of the model's distribution from the reference's, in nats: mean
  /// over the scored tokens, and what 99 of 100 do not exceed.
  double kl_mean = 0;
  double kl_p99 = 0;
  double top1_agreement = 0;  ///< share of tokens with the same most likely next token
};

/// measure_perplexity of both, window by window, and how their predictions differ. The models have
/// equally many rows of vocabulary. role: of the tokens in both. kl_p99 is set at the end only.
/// Errors: also model_mismatch (rows of vocabulary).
Result<DivergenceResult> measure_divergence(
    Session& reference, Session& session, std::span<const int32_t> tokens, int64_t window,
    RowRole role, const std::function<bool(const DivergenceResult&)>& on_window);

}  // namespace midge
