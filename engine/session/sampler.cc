#include "engine/session/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/session/random.h"
#include "kernels/generic/exp_f32.h"

namespace midge {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

Status check(bool good, const char* what, double found, const char* expected) {
  if (good) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s is %g, expected %s", what, found, expected);
}

// exp of a difference that is at most 0.
double weight_of(float logit, float maximum) { return generic::exp_f32(logit - maximum); }

}  // namespace

Result<Sampler> Sampler::create(const SamplerOptions& options, std::vector<uint8_t> allowed) {
  const auto finite = [](float x) { return std::isfinite(x); };
  MIDGE_RETURN_IF_ERROR(check(finite(options.temperature) && options.temperature >= 0,
                              "temperature", options.temperature, "a number of at least 0"));
  MIDGE_RETURN_IF_ERROR(check(options.top_k >= 0, "top-k", options.top_k, "at least 0"));
  MIDGE_RETURN_IF_ERROR(check(options.top_p > 0 && options.top_p <= 1, "top-p", options.top_p,
                              "more than 0, at most 1"));
  MIDGE_RETURN_IF_ERROR(
      check(options.min_p >= 0 && options.min_p <= 1, "min-p", options.min_p, "0..1"));
  MIDGE_RETURN_IF_ERROR(check(finite(options.repetition_penalty) && options.repetition_penalty > 0,
                              "repetition penalty", options.repetition_penalty, "more than 0"));
  MIDGE_RETURN_IF_ERROR(check(finite(options.presence_penalty), "presence penalty",
                              options.presence_penalty, "a number"));
  MIDGE_RETURN_IF_ERROR(check(finite(options.frequency_penalty), "frequency penalty",
                              options.frequency_penalty, "a number"));
  MIDGE_RETURN_IF_ERROR(check(options.logprobs >= 0 && options.logprobs <= kLogprobsMax, "logprobs",
                              options.logprobs, "0..32"));
  for (const auto& [id, bias] : options.logit_bias) {
    MIDGE_RETURN_IF_ERROR(check(id >= 0 && static_cast<size_t>(id) < allowed.size(),
                                "token id of a logit bias", id, "an id of the vocabulary"));
    MIDGE_RETURN_IF_ERROR(check(!std::isnan(bias) && bias != std::numeric_limits<float>::infinity(),
                                "logit bias", bias, "a number or -infinity"));
  }
  if (std::all_of(allowed.begin(), allowed.end(), [](uint8_t a) { return a == 0; })) {
    return make_status(StatusCode::kInvalidArgument, "no token may be sampled");
  }
  Sampler sampler;
  sampler.options_ = options;
  sampler.in_prompt_.resize(allowed.size());
  sampler.output_counts_.resize(allowed.size());
  sampler.processed_.resize(allowed.size());
  sampler.candidates_.resize(allowed.size());
  sampler.allowed_ = std::move(allowed);
  return sampler;
}

void Sampler::observe_prompt(int32_t token) { in_prompt_[static_cast<size_t>(token)] = 1; }

void Sampler::observe_output(int32_t token) { ++output_counts_[static_cast<size_t>(token)]; }

void Sampler::reset() {
  std::fill(in_prompt_.begin(), in_prompt_.end(), uint8_t{0});
  std::fill(output_counts_.begin(), output_counts_.end(), 0u);
}

int32_t Sampler::sample(const float* logits, uint64_t position) {
  apply_allowed(logits);
  apply_penalties();
  if (options_.temperature == 0.0f) return best();
  // So cold that the division overflows: nothing but the best token has a chance.
  const int32_t top = best();
  if (std::isinf(processed_[static_cast<size_t>(top)] / options_.temperature)) return top;
  for (float& logit : processed_) logit /= options_.temperature;
  if (options_.top_k > 0) keep_top_k();
  if (options_.top_p < 1.0f) keep_top_p();
  if (options_.min_p > 0.0f) keep_min_p();
  return draw(uniform_at(options_.seed, position));
}

void Sampler::apply_allowed(const float* logits) {
  for (size_t i = 0; i < processed_.size(); ++i) {
    processed_[i] = allowed_[i] != 0 && !std::isnan(logits[i]) ? logits[i] : kRemoved;
  }
}

void Sampler::apply_penalties() {
  for (const auto& [id, bias] : options_.logit_bias) processed_[static_cast<size_t>(id)] += bias;
  const float penalty = options_.repetition_penalty;
  const bool penalises =
      penalty != 1.0f || options_.presence_penalty != 0.0f || options_.frequency_penalty != 0.0f;
  if (!penalises) return;
  for (size_t i = 0; i < processed_.size(); ++i) {
    const uint32_t count = output_counts_[i];
    float& logit = processed_[i];
    if (count > 0 || in_prompt_[i] != 0) logit = logit < 0 ? logit * penalty : logit / penalty;
    if (count > 0) {
      logit -= options_.presence_penalty;
      logit -= options_.frequency_penalty * static_cast<float>(count);
    }
  }
}

size_t Sampler::order_best(size_t count) {
  size_t finite = 0;
  for (size_t i = 0; i < processed_.size(); ++i) {
    if (processed_[i] != kRemoved) {
      candidates_[finite++] = {processed_[i], static_cast<int32_t>(i)};
    }
  }
  count = std::min(count, finite);
  const auto begin = candidates_.begin();
  std::partial_sort(begin, begin + static_cast<ptrdiff_t>(count),
                    begin + static_cast<ptrdiff_t>(finite), before);
  return count;
}

void Sampler::keep_top_k() {
  const size_t count = order_best(static_cast<size_t>(options_.top_k));
  if (count == 0) return;
  const float last = candidates_[count - 1].logit;
  for (float& logit : processed_) {
    if (logit < last) logit = kRemoved;
  }
}

void Sampler::keep_top_p() {
  const float maximum = processed_[static_cast<size_t>(best())];
  double total = 0;
  for (const float logit : processed_) total += weight_of(logit, maximum);
  // Most of the mass sits in few tokens: order ever more of them until it is covered.
  for (size_t wanted = 64;; wanted *= 8) {
    const size_t count = order_best(wanted);
    double mass = 0;
    size_t kept = 0;
    while (kept < count && mass < static_cast<double>(options_.top_p) * total) {
      mass += weight_of(candidates_[kept].logit, maximum);
      ++kept;
    }
    if (kept == count && count == wanted) continue;
    if (kept == 0 || kept == count) return;
    const Candidate last = candidates_[kept - 1];
    for (size_t i = 0; i < processed_.size(); ++i) {
      if (before(last, {processed_[i], static_cast<int32_t>(i)})) processed_[i] = kRemoved;
    }
    return;
  }
}

void Sampler::keep_min_p() {
  const float maximum = processed_[static_cast<size_t>(best())];
  for (float& logit : processed_) {
    if (logit < maximum && weight_of(logit, maximum) < static_cast<double>(options_.min_p)) {
      logit = kRemoved;
    }
  }
}

int32_t Sampler::best() const {
  // Starts at the first allowed id, which is what is left if every logit is removed.
  size_t best = 0;
  while (allowed_[best] == 0) ++best;
  for (size_t i = best + 1; i < processed_.size(); ++i) {
    if (processed_[i] > processed_[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

int32_t Sampler::draw(double uniform) const {
  const int32_t top = best();
  const float maximum = processed_[static_cast<size_t>(top)];
  // Infinite logits leave no distribution to draw from.
  if (!std::isfinite(maximum)) return top;
  double total = 0;
  for (const float logit : processed_) total += weight_of(logit, maximum);
  const double target = uniform * total;
  double mass = 0;
  for (size_t i = 0; i < processed_.size(); ++i) {
    mass += weight_of(processed_[i], maximum);
    if (mass > target) return static_cast<int32_t>(i);
  }
  return top;
}

int32_t Sampler::logprobs(const float* logits, TokenLogprob* chosen,
                          std::span<TokenLogprob> alternatives) {
  apply_allowed(logits);
  const float maximum = processed_[static_cast<size_t>(best())];
  double total = 0;
  for (const float logit : processed_) total += weight_of(logit, maximum);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit - maximum) - std::log(total));
  };
  chosen->logprob = logprob(processed_[static_cast<size_t>(chosen->token)]);
  const size_t count =
      order_best(std::min(alternatives.size(), static_cast<size_t>(options_.logprobs)));
  for (size_t i = 0; i < count; ++i) {
    alternatives[i] = {candidates_[i].id, logprob(candidates_[i].logit)};
  }
  return static_cast<int32_t>(count);
}

}  // namespace midge
