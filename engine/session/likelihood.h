// How likely a model finds a continuation of a context: what choices of a question are compared by.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/session/sampler.h"
#include "engine/session/session.h"

namespace midge {

/// Of one continuation.
struct Likelihood {
  double log_sum = 0;     ///< of its tokens' probabilities, natural logarithm
  bool is_greedy = true;  ///< each of its tokens is the most likely one in its place
};

/// Scores continuations one after the other. Leading tokens that the one before had too are not
/// read again, which changes nothing but the time: each result is that of one forward pass over
/// the context and the continuation without its last token, rope factors included.
///
/// Until it ends, nobody else steps or truncates the session, which outlives it.
class LikelihoodScorer {
 public:
  /// role: that of every token, which decides the arithmetic of packed weights in the layers.
  /// Empties the session. Errors: out_of_memory.
  static Result<LikelihoodScorer> create(Session& session, RowRole role);

  /// The softmax is over the whole vocabulary, padding rows included. Logarithms are those of the
  /// sampler, in f32, as requests tell them, and added in f64. context, continuation: at least 1
  /// token each. Errors: invalid_argument (an empty one), those of step (context_full,
  /// out_of_range, cancelled
  /// ...).
  Result<Likelihood> score(std::span<const int32_t> context, std::span<const int32_t> continuation);

 private:
  LikelihoodScorer(Session& session, RowRole role) : session_(&session), role_(role) {}

  Status read(size_t context_length);

  Session* session_;
  RowRole role_;
  std::vector<int32_t> input_;
  // After the final norm, of the positions from hidden_begin_ on to the session's last one.
  std::vector<float> hidden_;
  size_t hidden_begin_ = std::numeric_limits<size_t>::max();
  AlignedBuffer logits_;
  // Logarithms come from the sampler, so that they are those that requests tell, bit for bit.
  std::vector<uint8_t> all_allowed_;
  std::optional<Sampler> sampler_;
};

}  // namespace midge
