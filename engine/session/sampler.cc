#include "engine/session/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "engine/session/random.h"
#include "kernels/exp_f32.h"

namespace midge {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

Status check(bool good, const char* what, double found, const char* expected) {
  if (good) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s is %g, expected %s", what, found, expected);
}

// Tokens whose largest logit is known.
constexpr size_t kBlock = 64;

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
  const size_t blocks = (allowed.size() + kBlock - 1) / kBlock;
  sampler.maxima_.resize(blocks);
  sampler.ordered_maxima_.resize(blocks);
  sampler.weights_to_.resize(blocks);
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
  find_maxima();
  if (options_.temperature == 0.0f) return best();
  // So cold that the division overflows: nothing but the best token has a chance.
  const int32_t top = best();
  if (std::isinf(processed_[static_cast<size_t>(top)] / options_.temperature)) return top;
  scale_by_temperature();
  if (options_.top_k > 0) keep_top_k();
  if (options_.top_p < 1.0f) keep_top_p();
  if (options_.min_p > 0.0f) keep_min_p();
  return draw(uniform_at(options_.seed, position));
}

void Sampler::apply_allowed(const float* logits) {
  const uint8_t* allowed = allowed_.data();
  float* out = processed_.data();
  for (size_t i = 0; i < processed_.size(); ++i) {
    const float logit = logits[i];
    // Without a branch: compilers make vectors of it.
    const float number = logit == logit ? logit : kRemoved;
    out[i] = allowed[i] != 0 ? number : kRemoved;
  }
}

void Sampler::find_maxima() {
  for (size_t b = 0; b < maxima_.size(); ++b) {
    const size_t end = std::min((b + 1) * kBlock, processed_.size());
    // Several chains, which a comparison after the other is not.
    float maxima[8];
    std::fill_n(maxima, 8, kRemoved);
    size_t i = b * kBlock;
    for (; i + 8 <= end; i += 8) {
      for (size_t j = 0; j < 8; ++j) {
        maxima[j] = processed_[i + j] > maxima[j] ? processed_[i + j] : maxima[j];
      }
    }
    for (; i < end; ++i) maxima[0] = std::max(maxima[0], processed_[i]);
    maxima_[b] = *std::max_element(maxima, maxima + 8);
  }
}

void Sampler::scale_by_temperature() {
  const float temperature = options_.temperature;
  for (float& logit : processed_) logit /= temperature;
  for (float& logit : maxima_) logit /= temperature;  // division keeps the order
}

// Removes the entries for which removed(logit, id) holds.
template <typename Removed>
void Sampler::remove_if(const Removed& removed) {
  for (size_t b = 0; b < maxima_.size(); ++b) {
    if (maxima_[b] == kRemoved) continue;
    const size_t end = std::min((b + 1) * kBlock, processed_.size());
    float maximum = kRemoved;
    for (size_t i = b * kBlock; i < end; ++i) {
      if (removed(processed_[i], static_cast<int32_t>(i))) processed_[i] = kRemoved;
      maximum = std::max(maximum, processed_[i]);
    }
    maxima_[b] = maximum;
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
  // As many blocks as there are entries wanted have a maximum of at least `least`.
  float least = kRemoved;
  if (count > 0 && count < maxima_.size()) {
    std::copy(maxima_.begin(), maxima_.end(), ordered_maxima_.begin());
    const auto last = ordered_maxima_.begin() + static_cast<ptrdiff_t>(count - 1);
    std::nth_element(ordered_maxima_.begin(), last, ordered_maxima_.end(), std::greater<float>());
    least = *last;
  }
  size_t found = 0;
  for (size_t b = 0; b < maxima_.size(); ++b) {
    if (maxima_[b] < least || maxima_[b] == kRemoved) continue;
    const size_t end = std::min((b + 1) * kBlock, processed_.size());
    for (size_t i = b * kBlock; i < end; ++i) {
      if (processed_[i] < least || processed_[i] == kRemoved) continue;
      candidates_[found++] = {processed_[i], static_cast<int32_t>(i)};
    }
  }
  count = std::min(count, found);
  const auto begin = candidates_.begin();
  std::partial_sort(begin, begin + static_cast<ptrdiff_t>(count),
                    begin + static_cast<ptrdiff_t>(found), before);
  return count;
}

void Sampler::keep_top_k() {
  const size_t count = order_best(static_cast<size_t>(options_.top_k));
  if (count == 0) return;
  const float last = candidates_[count - 1].logit;
  remove_if([last](float logit, int32_t) { return logit < last; });
}

void Sampler::keep_top_p() {
  const float top = maximum();
  const double total = total_weight(top);
  // Most of the mass sits in few tokens: order ever more of them until it is covered.
  for (size_t wanted = 64;; wanted *= 8) {
    const size_t count = order_best(wanted);
    double mass = 0;
    size_t kept = 0;
    while (kept < count && mass < static_cast<double>(options_.top_p) * total) {
      mass += weight_of(candidates_[kept].logit, top);
      ++kept;
    }
    if (kept == count && count == wanted) continue;
    if (kept == 0 || kept == count) return;
    const Candidate last = candidates_[kept - 1];
    remove_if([&last](float logit, int32_t id) { return before(last, {logit, id}); });
    return;
  }
}

void Sampler::keep_min_p() {
  const float top = maximum();
  const auto least = static_cast<double>(options_.min_p);
  remove_if([=](float logit, int32_t) { return logit < top && weight_of(logit, top) < least; });
}

int32_t Sampler::best() const {
  const auto block = std::max_element(maxima_.begin(), maxima_.end());
  if (*block == kRemoved) {
    const auto first = std::find_if(allowed_.begin(), allowed_.end(), [](auto a) { return a; });
    return static_cast<int32_t>(first - allowed_.begin());
  }
  const auto begin = processed_.begin() + (block - maxima_.begin()) * ptrdiff_t{kBlock};
  return static_cast<int32_t>(std::find(begin, processed_.end(), *block) - processed_.begin());
}

// The sum of all weights in ascending id, and in weights_to_ how far it had come.
double Sampler::total_weight(float maximum) {
  double total = 0;
  for (size_t b = 0; b < maxima_.size(); ++b) {
    if (maxima_[b] != kRemoved) {
      const size_t first = b * kBlock;
      const size_t count = std::min(kBlock, processed_.size() - first);
      float weights[kBlock];
      for (size_t i = 0; i < count; ++i) {
        weights[i] = generic::exp_f32(processed_[first + i] - maximum);
      }
      for (size_t i = 0; i < count; ++i) total += static_cast<double>(weights[i]);
    }
    weights_to_[b] = total;
  }
  return total;
}

int32_t Sampler::draw(double uniform) {
  const int32_t top = best();
  const float maximum = processed_[static_cast<size_t>(top)];
  // Infinite logits leave no distribution to draw from.
  if (!std::isfinite(maximum)) return top;
  const double target = uniform * total_weight(maximum);
  const auto block = std::upper_bound(weights_to_.begin(), weights_to_.end(), target);
  if (block == weights_to_.end()) return top;
  const auto b = static_cast<size_t>(block - weights_to_.begin());
  double mass = b == 0 ? 0 : weights_to_[b - 1];
  size_t i = b * kBlock;
  for (;; ++i) {
    mass += weight_of(processed_[i], maximum);
    if (mass > target) return static_cast<int32_t>(i);
  }
}

int32_t Sampler::logprobs(const float* logits, TokenLogprob* chosen,
                          std::span<TokenLogprob> alternatives) {
  apply_allowed(logits);
  find_maxima();
  const float top = maximum();
  const double total = total_weight(top);
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit - top) - std::log(total));
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
