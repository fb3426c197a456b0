// A text run window by window, and the distributions that come out: what perplexity, divergence and
// sensitivity are measured with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/core/aligned_buffer.h"
#include "engine/session/session.h"

namespace midge {

/// Runs windows of a text, and gives their logits in pieces.
class WindowRunner {
 public:
  /// Rows whose logits are held at once: bounds the memory for them to 32 vocabularies.
  static constexpr int64_t kRowsPerPiece = 32;

  /// window: most tokens of a window. The session outlives it. Errors: out_of_memory.
  static Result<WindowRunner> create(Session& session, int64_t window);

  /// Runs a window alone from position 0. One step per window: a model with two rope regimes then
  /// uses one for all of it, as a single forward pass does. The head follows in pieces, because
  /// logits of all rows would be large. Errors: those of step.
  Status run(std::span<const int32_t> text, RowRole role);

  /// Logits of rows first .. first + rows - 1 of the window, at most kRowsPerPiece.
  Status project(int64_t first, int64_t rows);

  /// Row i of the last projection [vocab_size].
  std::span<const float> logits(int64_t i) const;

 private:
  explicit WindowRunner(Session& session) : session_(&session) {}

  Session* session_;
  AlignedBuffer logits_;
  AlignedBuffer hidden_;
};

/// The softmax of a row of logits, in f64.
struct Distribution {
  explicit Distribution(std::span<const float> row);

  double log_probability(size_t token) const { return relative(logits[token]) - log_total; }
  double relative(float logit) const {
    return static_cast<double>(logit) - static_cast<double>(logits[static_cast<size_t>(best)]);
  }

  std::span<const float> logits;
  std::ptrdiff_t best = 0;
  double log_total = 0;
};

/// The Kullback-Leibler divergence of q from p, the sum of p * log(p / q), in nats; zero at the
/// least, which rounding may miss.
double divergence(const Distribution& p, const Distribution& q);

/// Calls visit(text) for the consecutive windows of `window` tokens, the last one shorter; windows
/// of one token are left out. Ends with the first status that is not ok.
template <typename Visit>
Status for_each_window(std::span<const int32_t> tokens, int64_t window, const Visit& visit) {
  for (size_t start = 0; start + 1 < tokens.size(); start += static_cast<size_t>(window)) {
    MIDGE_RETURN_IF_ERROR(
        visit(tokens.subspan(start, std::min(static_cast<size_t>(window), tokens.size() - start))));
  }
  return Status();
}

}  // namespace midge
