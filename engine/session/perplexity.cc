#include "engine/session/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/session/predictions.h"

namespace midge {
namespace {

Status check(const Session& session, std::span<const int32_t> tokens, int64_t window) {
  if (window < 2 || window > session.context_length()) {
    return make_status(StatusCode::kInvalidArgument, "window of %lld tokens, expected 2..%lld",
                       static_cast<long long>(window),
                       static_cast<long long>(session.context_length()));
  }
  if (tokens.size() < 2) {
    return make_status(StatusCode::kInvalidArgument, "text of %zu tokens, expected at least 2",
                       tokens.size());
  }
  return Status();
}

void add_window(int64_t scored, PerplexityResult* result) {
  result->scored += scored;
  ++result->windows;
  result->perplexity = std::exp(result->nll_sum / static_cast<double>(result->scored));
}

Status cancelled() { return make_status(StatusCode::kCancelled, "cancelled"); }

// What 99 of 100 do not exceed.
double percentile_99(std::vector<float>* values) {
  const size_t place = (values->size() * 99 + 99) / 100 - 1;
  std::nth_element(values->begin(), values->begin() + static_cast<std::ptrdiff_t>(place),
                   values->end());
  return static_cast<double>((*values)[place]);
}

}  // namespace

Result<PerplexityResult> measure_perplexity(
    Session& session, std::span<const int32_t> tokens, int64_t window, RowRole role,
    const std::function<bool(const PerplexityResult&)>& on_window) {
  MIDGE_RETURN_IF_ERROR(check(session, tokens, window));
  MIDGE_ASSIGN_OR_RETURN(WindowRunner runner, WindowRunner::create(session, window));
  PerplexityResult result;
  result.tokens = static_cast<int64_t>(tokens.size());
  const auto score = [&](std::span<const int32_t> text) -> Status {
    MIDGE_RETURN_IF_ERROR(runner.run(text, role));
    const auto scored = static_cast<int64_t>(text.size()) - 1;
    for (int64_t row = 0; row < scored; row += WindowRunner::kRowsPerPiece) {
      const int64_t rows = std::min(WindowRunner::kRowsPerPiece, scored - row);
      MIDGE_RETURN_IF_ERROR(runner.project(row, rows));
      for (int64_t i = 0; i < rows; ++i) {
        const auto next = static_cast<size_t>(text[static_cast<size_t>(row + i + 1)]);
        result.nll_sum -= Distribution(runner.logits(i)).log_probability(next);
      }
    }
    add_window(scored, &result);
    return on_window == nullptr || on_window(result) ? Status() : cancelled();
  };
  MIDGE_RETURN_IF_ERROR(for_each_window(tokens, window, score));
  return result;
}

Result<DivergenceResult> measure_divergence(
    Session& reference, Session& session, std::span<const int32_t> tokens, int64_t window,
    RowRole role, const std::function<bool(const DivergenceResult&)>& on_window) {
  MIDGE_RETURN_IF_ERROR(check(reference, tokens, window));
  MIDGE_RETURN_IF_ERROR(check(session, tokens, window));
  const int64_t vocab_size = session.model().config().vocab_size;
  if (vocab_size != reference.model().config().vocab_size) {
    return make_status(StatusCode::kModelMismatch,
                       "the model has %lld rows of vocabulary, its reference %lld",
                       static_cast<long long>(vocab_size),
                       static_cast<long long>(reference.model().config().vocab_size));
  }
  MIDGE_ASSIGN_OR_RETURN(WindowRunner expected, WindowRunner::create(reference, window));
  MIDGE_ASSIGN_OR_RETURN(WindowRunner runner, WindowRunner::create(session, window));
  DivergenceResult result;
  result.model.tokens = result.reference.tokens = static_cast<int64_t>(tokens.size());
  std::vector<float> divergences;
  divergences.reserve(tokens.size());
  double kl_sum = 0;
  int64_t agreed = 0;
  const auto score = [&](std::span<const int32_t> text) -> Status {
    MIDGE_RETURN_IF_ERROR(expected.run(text, role));
    MIDGE_RETURN_IF_ERROR(runner.run(text, role));
    const auto scored = static_cast<int64_t>(text.size()) - 1;
    for (int64_t row = 0; row < scored; row += WindowRunner::kRowsPerPiece) {
      const int64_t rows = std::min(WindowRunner::kRowsPerPiece, scored - row);
      MIDGE_RETURN_IF_ERROR(expected.project(row, rows));
      MIDGE_RETURN_IF_ERROR(runner.project(row, rows));
      for (int64_t i = 0; i < rows; ++i) {
        const auto next = static_cast<size_t>(text[static_cast<size_t>(row + i + 1)]);
        const Distribution p(expected.logits(i));
        const Distribution q(runner.logits(i));
        result.reference.nll_sum -= p.log_probability(next);
        result.model.nll_sum -= q.log_probability(next);
        const double kl = divergence(p, q);
        kl_sum += kl;
        divergences.push_back(static_cast<float>(kl));
        agreed += p.best == q.best ? 1 : 0;
      }
    }
    add_window(scored, &result.reference);
    add_window(scored, &result.model);
    const auto total = static_cast<double>(result.model.scored);
    result.kl_mean = kl_sum / total;
    result.top1_agreement = static_cast<double>(agreed) / total;
    return on_window == nullptr || on_window(result) ? Status() : cancelled();
  };
  MIDGE_RETURN_IF_ERROR(for_each_window(tokens, window, score));
  result.kl_p99 = percentile_99(&divergences);
  return result;
}

}  // namespace midge
