#include "engine/session/predictions.h"

#include <cmath>

namespace midge {
namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

}  // namespace

Result<WindowRunner> WindowRunner::create(Session& session, int64_t window) {
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

Status WindowRunner::run(std::span<const int32_t> text, RowRole role) {
  MIDGE_RETURN_IF_ERROR(session_->truncate(0));
  RowOutputs outputs;
  outputs.hidden_normed = reinterpret_cast<float*>(hidden_.data());
  return session_->step(text, outputs, role);
}

Status WindowRunner::project(int64_t first, int64_t rows) {
  const auto* hidden = reinterpret_cast<const float*>(hidden_.data());
  return session_->project(hidden + first * session_->model().config().hidden_size, rows,
                           reinterpret_cast<float*>(logits_.data()));
}

std::span<const float> WindowRunner::logits(int64_t i) const {
  const int64_t vocab_size = session_->model().config().vocab_size;
  return {reinterpret_cast<const float*>(logits_.data()) + i * vocab_size,
          static_cast<size_t>(vocab_size)};
}

Distribution::Distribution(std::span<const float> row) : logits(row) {
  best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  double total = 0;
  for (const float logit : logits) total += std::exp(relative(logit));
  log_total = std::log(total);
}

double divergence(const Distribution& p, const Distribution& q) {
  double sum = 0;
  for (size_t i = 0; i < p.logits.size(); ++i) {
    const double log_p = p.log_probability(i);
    sum += std::exp(log_p) * (log_p - q.log_probability(i));
  }
  return sum < 0 ? 0 : sum;
}

}  // namespace midge
