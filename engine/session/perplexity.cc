#include "engine/session/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace midge {
namespace {

// Rows whose logits are held at once: bounds the memory for them to 32 vocabularies.
constexpr int64_t kRowsPerPiece = 32;
constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

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

// Runs windows of a text, and gives their logits in pieces.
class WindowRunner {
 public:
  static Result<WindowRunner> create(Session& session, int64_t window) {
    WindowRunner runner(session);
    const ModelConfig& config = session.model().config();
    MIDGE_ASSIGN_OR_RETURN(
        runner.logits_,
        AlignedBuffer::create(kRowsPerPiece * config.vocab_size * kFloatBytes, "logits"));
    MIDGE_ASSIGN_OR_RETURN(
        runner.hidden_,
        AlignedBuffer::create(window * config.hidden_size * kFloatBytes, "hidden states"));
    return runner;
  }

  // One step per window: a model with two rope regimes then uses one for all of it, as a single
  // forward pass does. The head follows in pieces, because logits of all rows would be large.
  Status run(std::span<const int32_t> text, RowRole role) {
    MIDGE_RETURN_IF_ERROR(session_->truncate(0));
    RowOutputs outputs;
    outputs.hidden_normed = reinterpret_cast<float*>(hidden_.data());
    return session_->step(text, outputs, role);
  }

  // Logits of rows first .. first + rows - 1 of the window, at most kRowsPerPiece.
  Status project(int64_t first, int64_t rows) {
    const auto* hidden = reinterpret_cast<const float*>(hidden_.data());
    return session_->project(hidden + first * session_->model().config().hidden_size, rows,
                             reinterpret_cast<float*>(logits_.data()));
  }

  // Row i of the last projection.
  std::span<const float> logits(int64_t i) const {
    const int64_t vocab_size = session_->model().config().vocab_size;
    return {reinterpret_cast<const float*>(logits_.data()) + i * vocab_size,
            static_cast<size_t>(vocab_size)};
  }

 private:
  explicit WindowRunner(Session& session) : session_(&session) {}

  Session* session_;
  AlignedBuffer logits_;
  AlignedBuffer hidden_;
};

// The softmax of a row of logits, in f64.
struct Distribution {
  explicit Distribution(std::span<const float> row) : logits(row) {
    best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    double total = 0;
    for (const float logit : logits) total += std::exp(relative(logit));
    log_total = std::log(total);
  }

  double log_probability(size_t token) const { return relative(logits[token]) - log_total; }
  double relative(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(logits[static_cast<size_t>(best)]);
  }

  std::span<const float> logits;
  std::ptrdiff_t best = 0;
  double log_total = 0;
};

// sum of p * log(p / q); zero at the least, which rounding may miss.
double divergence(const Distribution& p, const Distribution& q) {
  double sum = 0;
  for (size_t i = 0; i < p.logits.size(); ++i) {
    const double log_p = p.log_probability(i);
    sum += std::exp(log_p) * (log_p - q.log_probability(i));
  }
  return sum < 0 ? 0 : sum;
}

void add_window(int64_t scored, PerplexityResult* result) {
  result->scored += scored;
  ++result->windows;
  result->perplexity = std::exp(result->nll_sum / static_cast<double>(result->scored));
}

// Calls visit(text) for the windows of two tokens or more.
template <typename Visit>
Status for_each_window(std::span<const int32_t> tokens, int64_t window, const Visit& visit) {
  for (size_t start = 0; start + 1 < tokens.size(); start += static_cast<size_t>(window)) {
    MIDGE_RETURN_IF_ERROR(
        visit(tokens.subspan(start, std::min(static_cast<size_t>(window), tokens.size() - start))));
  }
  return Status();
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
    for (int64_t row = 0; row < scored; row += kRowsPerPiece) {
      const int64_t rows = std::min(kRowsPerPiece, scored - row);
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
    for (int64_t row = 0; row < scored; row += kRowsPerPiece) {
      const int64_t rows = std::min(kRowsPerPiece, scored - row);
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
