// From logits to a token.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/core/status.h"
#include "kernels/kernel_types.h"

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
  uint32_t sample = 0;   ///< which of several answers to one prompt: each draws other numbers
  int32_t logprobs = 0;  ///< alternatives reported per token, 0..kLogprobsMax
};

inline constexpr int32_t kLogprobsMax = 32;

/// A token with the logarithm of its probability under the model itself: softmax over all rows of
/// the raw logits, before any option.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

/// What sampling needs beside a sequence's own state: about 18 bytes per row of the vocabulary. One
/// caller at a time; any sampler may use it.
class SamplerWorkspace {
 public:
  /// exp_sum: any kernel of this operation, all give the same bits. Errors: out_of_memory.
  static Result<SamplerWorkspace> create(int64_t vocab_size, ExpSumFunction exp_sum);

  /// What create() takes.
  static int64_t bytes_for(int64_t vocab_size);
  int64_t bytes() const { return buffer_.bytes(); }
  const AlignedBuffer& buffer() const { return buffer_; }
  int64_t vocab_size() const { return static_cast<int64_t>(processed_.size()); }
  /// The logits of the last sample() after every option, minus infinity for removed ones. Valid
  /// until the next use.
  std::span<const float> processed() const { return processed_; }

 private:
  friend class SamplerRun;

  struct Candidate {
    float logit;
    int32_t id;
  };

  AlignedBuffer buffer_;
  ExpSumFunction exp_sum_ = nullptr;
  std::span<float> processed_;
  // By blocks of the vocabulary, so that what can't matter is passed over: the largest entry of
  // processed_ in each, a copy to reorder, and the weight of all entries up to its end.
  std::span<float> maxima_;
  std::span<float> ordered_maxima_;
  std::span<double> weights_to_;
  std::span<Candidate> candidates_;
};

/// How often tokens were seen. A sorted list: a sequence has far fewer tokens than a vocabulary.
class TokenCounts {
 public:
  struct Entry {
    int32_t token;
    uint32_t bits;  // the lowest: in the prompt; the others: how often in the output

    bool in_prompt() const { return (bits & 1) != 0; }
    uint32_t output_count() const { return bits >> 1; }
  };

  /// Takes the memory for `tokens_max` different tokens.
  void reserve(int64_t tokens_max) { entries_.reserve(static_cast<size_t>(tokens_max)); }
  void add_prompt(std::span<const int32_t> tokens);
  void add_output(int32_t token);
  void clear() { entries_.clear(); }
  /// By token.
  std::span<const Entry> entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// Samples the tokens of one sequence. Holds its options and, if they penalise, the tokens seen: 8
/// bytes each. All memory is taken at creation. One caller at a time.
///
/// Among equal logits the lower id comes first, everywhere. Exponentials are midge's own, their
/// sums in f64 have one order: the same logits give the same token on every machine.
class Sampler {
 public:
  /// allowed: [vocab_size] nonzero for ids that are tokens; rows that only pad the table must never
  /// be sampled. It outlives the sampler. tokens_max: of prompt and output together.
  /// Errors: invalid_argument (an option out of its range, no allowed id).
  static Result<Sampler> create(const SamplerOptions& options, std::span<const uint8_t> allowed,
                                int64_t tokens_max);

  const SamplerOptions& options() const { return options_; }

  /// sample() takes tokens that are nonzero here from now on, [vocab_size] as `allowed`, whose
  /// tokens logprobs() goes on to speak of. Outlives the sampler.
  void set_mask(std::span<const uint8_t> mask) { mask_ = mask; }

  /// Counts tokens of the prompt / of the output for the penalties.
  void observe_prompt(std::span<const int32_t> tokens);
  void observe_output(int32_t token);
  /// Forgets all observed tokens.
  void reset() { counts_.clear(); }

  /// The token at `position` for logits [vocab_size]. NaN counts as minus infinity; if nothing
  /// finite is left, the first allowed id is returned. Allocates nothing.
  int32_t sample(const float* logits, uint64_t position, SamplerWorkspace& workspace) const;

  /// Fills `chosen` and the options.logprobs best alternatives from raw logits [vocab_size], whose
  /// softmax is over all rows; alternatives are tokens.
  /// Returns the number of alternatives written. Allocates nothing.
  int32_t logprobs(const float* logits, TokenLogprob* chosen, std::span<TokenLogprob> alternatives,
                   SamplerWorkspace& workspace) const;

 private:
  friend class SamplerRun;

  Sampler() = default;

  SamplerOptions options_;
  bool penalises_ = false;
  std::span<const uint8_t> allowed_;
  std::span<const uint8_t> mask_;  // of sample()
  TokenCounts counts_;
};

}  // namespace midge
