#include "engine/session/sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "engine/core/arena.h"
#include "engine/core/check.h"
#include "engine/session/random.h"
#include "kernels/call.h"
#include "kernels/exp_f32.h"
#include "kernels/kernel_types.h"

namespace midge {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

Status check(bool good, const char* what, double found, const char* expected) {
  if (good) return Status();
  return make_status(StatusCode::kInvalidArgument, "%s is %g, expected %s", what, found, expected);
}

// Tokens whose largest logit and total weight are known.
constexpr size_t kBlock = kExpSumBlock;

// exp of a difference that is at most 0.
double weight_of(float logit, float maximum) { return generic::exp_f32(logit - maximum); }

}  // namespace

int64_t SamplerWorkspace::bytes_for(int64_t vocab_size) {
  const int64_t blocks = ceil_div(vocab_size, int64_t{kBlock});
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  return Arena::room(vocab_size * kFloat) + 2 * Arena::room(blocks * kFloat) +
         Arena::room(blocks * static_cast<int64_t>(sizeof(double))) +
         Arena::room(vocab_size * static_cast<int64_t>(sizeof(Candidate)));
}

Result<SamplerWorkspace> SamplerWorkspace::create(int64_t vocab_size, ExpSumFunction exp_sum) {
  MIDGE_DCHECK(exp_sum != nullptr);
  const int64_t blocks = ceil_div(vocab_size, int64_t{kBlock});
  SamplerWorkspace workspace;
  workspace.exp_sum_ = exp_sum;
  float* processed = nullptr;
  float* maxima = nullptr;
  float* ordered_maxima = nullptr;
  double* weights_to = nullptr;
  Candidate* candidates = nullptr;
  ArenaPlan plan;
  plan.add(&processed, vocab_size);
  plan.add(&maxima, blocks);
  plan.add(&ordered_maxima, blocks);
  plan.add(&weights_to, blocks);
  plan.add(&candidates, vocab_size);
  MIDGE_DCHECK(plan.bytes() == bytes_for(vocab_size));
  MIDGE_ASSIGN_OR_RETURN(workspace.buffer_, plan.create("the sampler"));
  workspace.processed_ = {processed, static_cast<size_t>(vocab_size)};
  workspace.maxima_ = {maxima, static_cast<size_t>(blocks)};
  workspace.ordered_maxima_ = {ordered_maxima, static_cast<size_t>(blocks)};
  workspace.weights_to_ = {weights_to, static_cast<size_t>(blocks)};
  workspace.candidates_ = {candidates, static_cast<size_t>(vocab_size)};
  return workspace;
}

void TokenCounts::add_prompt(std::span<const int32_t> tokens) {
  // Sorted once for all of them: one after the other would move the list for each.
  for (const int32_t token : tokens) entries_.push_back({token, 1});
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.token < b.token; });
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (kept > 0 && entries_[kept - 1].token == entries_[i].token) {
      const uint32_t outputs = entries_[kept - 1].output_count() + entries_[i].output_count();
      const uint32_t prompt = (entries_[kept - 1].bits | entries_[i].bits) & 1;
      entries_[kept - 1].bits = outputs << 1 | prompt;
    } else {
      entries_[kept++] = entries_[i];
    }
  }
  entries_.resize(kept);
}

void TokenCounts::add_output(int32_t token) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), token,
                                   [](const Entry& entry, int32_t id) { return entry.token < id; });
  if (at != entries_.end() && at->token == token) {
    at->bits += 2;
  } else {
    entries_.insert(at, {token, 2});
  }
}

/// One use of a sampler: its state and a workspace.
class SamplerRun {
 public:
  SamplerRun(const Sampler& sampler, SamplerWorkspace& workspace)
      : s_(sampler), o_(sampler.options_), w_(workspace) {}

  int32_t sample(const float* logits, uint64_t position);
  int32_t logprobs(const float* logits, TokenLogprob* chosen, std::span<TokenLogprob> alternatives);

 private:
  using Candidate = SamplerWorkspace::Candidate;

  void apply_allowed(const float* logits, std::span<const uint8_t> allowed);
  void take_numbers(const float* logits);  // all of them
  void apply_penalties();
  void find_maxima();
  void scale_by_temperature();
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();
  int32_t best() const;
  float maximum() const { return w_.processed_[static_cast<size_t>(best())]; }
  double total_weight(float maximum);
  int32_t draw(double uniform);
  // The `count` best finite entries of processed_, in order, at the front of candidates_; returns
  // how many there are.
  size_t order_best(size_t count);
  template <typename Removed>
  void remove_if(const Removed& removed);

  static bool before(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }

  const Sampler& s_;
  const SamplerOptions& o_;
  SamplerWorkspace& w_;
};

Result<Sampler> Sampler::create(const SamplerOptions& options, std::span<const uint8_t> allowed,
                                int64_t tokens_max) {
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
  sampler.allowed_ = allowed;
  sampler.mask_ = allowed;
  sampler.penalises_ = options.repetition_penalty != 1.0f || options.presence_penalty != 0.0f ||
                       options.frequency_penalty != 0.0f;
  if (sampler.penalises_) sampler.counts_.reserve(tokens_max);
  return sampler;
}

void Sampler::observe_prompt(std::span<const int32_t> tokens) {
  if (penalises_) counts_.add_prompt(tokens);
}

void Sampler::observe_output(int32_t token) {
  if (penalises_) counts_.add_output(token);
}

int32_t Sampler::sample(const float* logits, uint64_t position, SamplerWorkspace& workspace) const {
  MIDGE_DCHECK(workspace.vocab_size() == static_cast<int64_t>(allowed_.size()));
  return SamplerRun(*this, workspace).sample(logits, position);
}

int32_t Sampler::logprobs(const float* logits, TokenLogprob* chosen,
                          std::span<TokenLogprob> alternatives, SamplerWorkspace& workspace) const {
  MIDGE_DCHECK(workspace.vocab_size() == static_cast<int64_t>(allowed_.size()));
  return SamplerRun(*this, workspace).logprobs(logits, chosen, alternatives);
}

int32_t SamplerRun::sample(const float* logits, uint64_t position) {
  apply_allowed(logits, s_.mask_);
  apply_penalties();
  find_maxima();
  if (o_.temperature == 0.0f) return best();
  // So cold that the division overflows: nothing but the best token has a chance.
  const int32_t top = best();
  if (std::isinf(w_.processed_[static_cast<size_t>(top)] / o_.temperature)) return top;
  scale_by_temperature();
  if (o_.top_k > 0) keep_top_k();
  if (o_.top_p < 1.0f) keep_top_p();
  if (o_.min_p > 0.0f) keep_min_p();
  return draw(uniform_at(o_.seed, position, o_.sample));
}

void SamplerRun::apply_allowed(const float* logits, std::span<const uint8_t> allowed) {
  float* out = w_.processed_.data();
  for (size_t i = 0; i < w_.processed_.size(); ++i) {
    const float logit = logits[i];
    // Without a branch: compilers make vectors of it.
    const float number = logit == logit ? logit : kRemoved;
    out[i] = allowed[i] != 0 ? number : kRemoved;
  }
}

void SamplerRun::take_numbers(const float* logits) {
  std::transform(logits, logits + w_.processed_.size(), w_.processed_.begin(),
                 [](float logit) { return logit == logit ? logit : kRemoved; });
}

void SamplerRun::find_maxima() {
  const float* processed = w_.processed_.data();
  for (size_t b = 0; b < w_.maxima_.size(); ++b) {
    const size_t end = std::min((b + 1) * kBlock, w_.processed_.size());
    // Several chains, which a comparison after the other is not.
    float maxima[8];
    std::fill_n(maxima, 8, kRemoved);
    size_t i = b * kBlock;
    for (; i + 8 <= end; i += 8) {
      for (size_t j = 0; j < 8; ++j) {
        maxima[j] = processed[i + j] > maxima[j] ? processed[i + j] : maxima[j];
      }
    }
    for (; i < end; ++i) maxima[0] = std::max(maxima[0], processed[i]);
    w_.maxima_[b] = *std::max_element(maxima, maxima + 8);
  }
}

void SamplerRun::scale_by_temperature() {
  const float temperature = o_.temperature;
  for (float& logit : w_.processed_) logit /= temperature;
  for (float& logit : w_.maxima_) logit /= temperature;  // division keeps the order
}

// Removes the entries for which removed(logit, id) holds.
template <typename Removed>
void SamplerRun::remove_if(const Removed& removed) {
  for (size_t b = 0; b < w_.maxima_.size(); ++b) {
    if (w_.maxima_[b] == kRemoved) continue;
    const size_t end = std::min((b + 1) * kBlock, w_.processed_.size());
    float maximum = kRemoved;
    for (size_t i = b * kBlock; i < end; ++i) {
      if (removed(w_.processed_[i], static_cast<int32_t>(i))) w_.processed_[i] = kRemoved;
      maximum = std::max(maximum, w_.processed_[i]);
    }
    w_.maxima_[b] = maximum;
  }
}

void SamplerRun::apply_penalties() {
  for (const auto& [id, bias] : o_.logit_bias) w_.processed_[static_cast<size_t>(id)] += bias;
  if (!s_.penalises_) return;
  const float penalty = o_.repetition_penalty;
  for (const TokenCounts::Entry& seen : s_.counts_.entries()) {
    float& logit = w_.processed_[static_cast<size_t>(seen.token)];
    logit = logit < 0 ? logit * penalty : logit / penalty;
    if (seen.output_count() > 0) {
      logit -= o_.presence_penalty;
      logit -= o_.frequency_penalty * static_cast<float>(seen.output_count());
    }
  }
}

size_t SamplerRun::order_best(size_t count) {
  // As many blocks as there are entries wanted have a maximum of at least `least`.
  float least = kRemoved;
  if (count > 0 && count < w_.maxima_.size()) {
    std::copy(w_.maxima_.begin(), w_.maxima_.end(), w_.ordered_maxima_.begin());
    const auto last = w_.ordered_maxima_.begin() + static_cast<ptrdiff_t>(count - 1);
    std::nth_element(w_.ordered_maxima_.begin(), last, w_.ordered_maxima_.end(),
                     std::greater<float>());
    least = *last;
  }
  size_t found = 0;
  for (size_t b = 0; b < w_.maxima_.size(); ++b) {
    if (w_.maxima_[b] < least || w_.maxima_[b] == kRemoved) continue;
    const size_t end = std::min((b + 1) * kBlock, w_.processed_.size());
    for (size_t i = b * kBlock; i < end; ++i) {
      if (w_.processed_[i] < least || w_.processed_[i] == kRemoved) continue;
      w_.candidates_[found++] = {w_.processed_[i], static_cast<int32_t>(i)};
    }
  }
  count = std::min(count, found);
  const auto begin = w_.candidates_.begin();
  std::partial_sort(begin, begin + static_cast<ptrdiff_t>(count),
                    begin + static_cast<ptrdiff_t>(found), before);
  return count;
}

void SamplerRun::keep_top_k() {
  const size_t count = order_best(static_cast<size_t>(o_.top_k));
  if (count == 0) return;
  const float last = w_.candidates_[count - 1].logit;
  remove_if([last](float logit, int32_t) { return logit < last; });
}

void SamplerRun::keep_top_p() {
  const float top = maximum();
  const double total = total_weight(top);
  // Most of the mass sits in few tokens: order ever more of them until it is covered.
  for (size_t wanted = 64;; wanted *= 8) {
    const size_t count = order_best(wanted);
    double mass = 0;
    size_t kept = 0;
    while (kept < count && mass < static_cast<double>(o_.top_p) * total) {
      mass += weight_of(w_.candidates_[kept].logit, top);
      ++kept;
    }
    if (kept == count && count == wanted) continue;
    if (kept == 0 || kept == count) return;
    const Candidate last = w_.candidates_[kept - 1];
    remove_if([&last](float logit, int32_t id) { return before(last, {logit, id}); });
    return;
  }
}

void SamplerRun::keep_min_p() {
  const float top = maximum();
  const auto least = static_cast<double>(o_.min_p);
  remove_if([=](float logit, int32_t) { return logit < top && weight_of(logit, top) < least; });
}

int32_t SamplerRun::best() const {
  const auto block = std::max_element(w_.maxima_.begin(), w_.maxima_.end());
  if (*block == kRemoved) {
    const auto first = std::find_if(s_.mask_.begin(), s_.mask_.end(), [](auto a) { return a; });
    return static_cast<int32_t>(first - s_.mask_.begin());
  }
  const auto begin = w_.processed_.begin() + (block - w_.maxima_.begin()) * ptrdiff_t{kBlock};
  return static_cast<int32_t>(std::find(begin, w_.processed_.end(), *block) -
                              w_.processed_.begin());
}

// The sum of all weights, and in w_.weights_to_ how far it had come after each block.
double SamplerRun::total_weight(float maximum) {
  const size_t blocks = w_.maxima_.size();
  for (size_t b = 0; b < blocks;) {
    if (w_.maxima_[b] == kRemoved) {
      w_.weights_to_[b++] = 0;
      continue;
    }
    size_t end = b + 1;
    while (end < blocks && w_.maxima_[end] != kRemoved) ++end;
    const size_t first = b * kBlock;
    const size_t count = std::min(end * kBlock, w_.processed_.size()) - first;
    const ExpSumArgs args = {static_cast<int64_t>(count), &w_.processed_[first], maximum,
                             &w_.weights_to_[b]};
    call_kernel(w_.exp_sum_, args);
    b = end;
  }
  double total = 0;
  for (double& weight : w_.weights_to_) weight = total += weight;
  return total;
}

int32_t SamplerRun::draw(double uniform) {
  const int32_t top = best();
  const float maximum = w_.processed_[static_cast<size_t>(top)];
  // Infinite logits leave no distribution to draw from.
  if (!std::isfinite(maximum)) return top;
  const double target = uniform * total_weight(maximum);
  const auto block = std::upper_bound(w_.weights_to_.begin(), w_.weights_to_.end(), target);
  if (block == w_.weights_to_.end()) return top;
  const auto b = static_cast<size_t>(block - w_.weights_to_.begin());
  double mass = b == 0 ? 0 : w_.weights_to_[b - 1];
  const size_t end = std::min((b + 1) * kBlock, w_.processed_.size());
  // One after the other they may add up to a little less than the block's sum: then it is the last.
  int32_t drawn = top;
  for (size_t i = b * kBlock; i < end && mass <= target; ++i) {
    const double weight = weight_of(w_.processed_[i], maximum);
    if (weight > 0) drawn = static_cast<int32_t>(i);
    mass += weight;
  }
  return drawn;
}

int32_t SamplerRun::logprobs(const float* logits, TokenLogprob* chosen,
                             std::span<TokenLogprob> alternatives) {
  // Rows that only pad the table have their share of the model's distribution, as everywhere that
  // likelihoods are measured. They are no alternatives.
  take_numbers(logits);
  find_maxima();
  const float top = maximum();
  const double log_total = std::log(total_weight(top));
  const auto logprob = [&](float logit) {
    return static_cast<float>(static_cast<double>(logit) - static_cast<double>(top) - log_total);
  };
  chosen->logprob = logprob(w_.processed_[static_cast<size_t>(chosen->token)]);
  remove_if([&](float, int32_t id) { return s_.allowed_[static_cast<size_t>(id)] == 0; });
  const size_t count = order_best(std::min(alternatives.size(), static_cast<size_t>(o_.logprobs)));
  for (size_t i = 0; i < count; ++i) {
    alternatives[i] = {w_.candidates_[i].id, logprob(w_.candidates_[i].logit)};
  }
  return static_cast<int32_t>(count);
}

}  // namespace midge
