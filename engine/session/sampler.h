// From logits to a token.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/core/status.h"

namespace midge {

/// Definitions and order are those of Hugging Face's generate(): logit bias, repetition penalty,
/// (then, as in OpenAI's API, presence and frequency penalties), temperature, top-k, top-p, min-p.
/// Filters never remove the best token.
struct SamplerOptions {
  float temperature = 0.0f;         ///< > 0 draws, 0 takes the best token (and ignores top/min)
  int32_t top_k = 0;                ///< keeps the k best, and all that tie with the last; 0: all
  float top_p = 1.0f;               ///< (0, 1]: keeps a token while those before it have less mass
  float min_p = 0.0f;               ///< [0, 1]: drops what is less likely than min_p * the best
  float repetition_penalty = 1.0f;  ///< > 0: divides positive and multiplies negative logits of
                                    ///< every token in prompt or output
  float presence_penalty = 0.0f;    ///< subtracted once for tokens in the output
  float frequency_penalty = 0.0f;   ///< subtracted per occurrence in the output
  std::vector<std::pair<int32_t, float>> logit_bias;  ///< added; -infinity bans
  uint64_t seed = 0;
  int32_t logprobs = 0;  ///< alternatives reported per token, 0..kLogprobsMax
};

inline constexpr int32_t kLogprobsMax = 32;

/// A token with the logarithm of its probability under the model itself: softmax over the real
/// tokens of the raw logits, before any option.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

/// Samples the tokens of one sequence. All memory is taken at creation. One caller at a time.
///
/// Among equal logits the lower id comes first, everywhere. Exponentials are midge's own, sums run
/// in ascending id in f64: the same logits give the same token on every machine.
class Sampler {
 public:
  /// allowed: [vocab_size] nonzero for ids that are tokens; rows that only pad the table must never
  /// be sampled. Errors: invalid_argument (an option out of its range, no allowed id).
  static Result<Sampler> create(const SamplerOptions& options, std::vector<uint8_t> allowed);

  /// Counts a token of the prompt / of the output for the penalties.
  void observe_prompt(int32_t token);
  void observe_output(int32_t token);
  /// Forgets all observed tokens.
  void reset();

  /// The token at `position` for logits [vocab_size]. NaN counts as minus infinity; if nothing
  /// finite is left, the first allowed id is returned. Allocates nothing.
  int32_t sample(const float* logits, uint64_t position);

  /// The logits of the last sample() after every option, minus infinity for removed ones. Valid
  /// until the next call of sample() or logprobs().
  std::span<const float> processed() const { return processed_; }

  /// Fills `chosen` and the options.logprobs best alternatives from raw logits [vocab_size].
  /// Returns the number of alternatives written. Allocates nothing.
  int32_t logprobs(const float* logits, TokenLogprob* chosen, std::span<TokenLogprob> alternatives);

 private:
  Sampler() = default;

  void apply_allowed(const float* logits);
  void apply_penalties();
  void find_maxima();
  void scale_by_temperature();
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();
  int32_t best() const;
  float maximum() const { return processed_[static_cast<size_t>(best())]; }
  double total_weight(float maximum);
  int32_t draw(double uniform);
  // The `count` best finite entries of processed_, in order, at the front of candidates_; returns
  // how many there are.
  size_t order_best(size_t count);
  template <typename Removed>
  void remove_if(const Removed& removed);

  struct Candidate {
    float logit;
    int32_t id;
  };
  static bool before(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }

  SamplerOptions options_;
  std::vector<uint8_t> allowed_;
  std::vector<uint8_t> in_prompt_;
  std::vector<uint32_t> output_counts_;
  std::vector<float> processed_;
  // By blocks of the vocabulary, so that what can't matter is passed over: the largest entry of
  // processed_ in each, a copy to reorder, and the weight of all entries up to its end.
  std::vector<float> maxima_;
  std::vector<float> ordered_maxima_;
  std::vector<double> weights_to_;
  std::vector<Candidate> candidates_;
};

}  // namespace midge
