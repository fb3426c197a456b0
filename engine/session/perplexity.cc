#include "engine/session/perplexity.h"

#include <algorithm>
#include <cmath>

namespace midge {
namespace {

// Rows whose logits are held at once: bounds the memory for them to 32 vocabularies.
constexpr int64_t kRowsPerPiece = 32;

// -log softmax(logits)[token], in f64.
double negative_log_likelihood(std::span<const float> logits, int32_t token) {
  const float maximum = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit - maximum));
  return std::log(total) - static_cast<double>(logits[static_cast<size_t>(token)] - maximum);
}

}  // namespace

Result<PerplexityResult> measure_perplexity(
    Session& session, std::span<const int32_t> tokens, int64_t window, RowRole role,
    const std::function<bool(const PerplexityResult&)>& on_window) {
  if (window < 2 || window > session.context_length()) {
    return make_status(StatusCode::kInvalidArgument, "window of %lld tokens, expected 2..%lld",
                       static_cast<long long>(window),
                       static_cast<long long>(session.context_length()));
  }
  if (tokens.size() < 2) {
    return make_status(StatusCode::kInvalidArgument, "text of %zu tokens, expected at least 2",
                       tokens.size());
  }
  const ModelConfig& config = session.model().config();
  const auto vocab = static_cast<size_t>(config.vocab_size);
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  MIDGE_ASSIGN_OR_RETURN(
      const AlignedBuffer logits_buffer,
      AlignedBuffer::create(kRowsPerPiece * config.vocab_size * kFloat, "logits"));
  MIDGE_ASSIGN_OR_RETURN(
      const AlignedBuffer hidden_buffer,
      AlignedBuffer::create(window * config.hidden_size * kFloat, "hidden states"));
  auto* logits = reinterpret_cast<float*>(logits_buffer.data());
  auto* hidden = reinterpret_cast<float*>(hidden_buffer.data());
  PerplexityResult result;
  result.tokens = static_cast<int64_t>(tokens.size());
  // One step per window: a model with two rope regimes then uses one for all of it, as a single
  // forward pass does. The head follows in pieces, because logits of all rows would be large.
  for (size_t start = 0; start + 1 < tokens.size(); start += static_cast<size_t>(window)) {
    const auto text =
        tokens.subspan(start, std::min(static_cast<size_t>(window), tokens.size() - start));
    MIDGE_RETURN_IF_ERROR(session.truncate(0));
    RowOutputs outputs;
    outputs.hidden_normed = hidden;
    MIDGE_RETURN_IF_ERROR(session.step(text, outputs, role));
    const auto scored = static_cast<int64_t>(text.size()) - 1;
    for (int64_t row = 0; row < scored; row += kRowsPerPiece) {
      const int64_t rows = std::min(kRowsPerPiece, scored - row);
      MIDGE_RETURN_IF_ERROR(session.project(hidden + row * config.hidden_size, rows, logits));
      for (int64_t i = 0; i < rows; ++i) {
        result.nll_sum += negative_log_likelihood({logits + i * config.vocab_size, vocab},
                                                  text[static_cast<size_t>(row + i + 1)]);
      }
    }
    result.scored += scored;
    ++result.windows;
    result.perplexity = std::exp(result.nll_sum / static_cast<double>(result.scored));
    if (on_window != nullptr && !on_window(result)) {
      return make_status(StatusCode::kCancelled, "cancelled");
    }
  }
  return result;
}

}  // namespace midge
