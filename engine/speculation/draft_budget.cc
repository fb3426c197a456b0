#include "engine/speculation/draft_budget.h"

#include <algorithm>

namespace midge {
namespace {

// Of the last step in the mean; one that took more than this many times as long counts as that.
constexpr double kLast = 0.125;
constexpr double kOutlier = 1.5;
// What a row more is taken to cost by the step before it was tried.
constexpr double kGuessPerRow = 0.04;
// Drafts have to gain as much before they are made.
constexpr double kMargin = 1.01;
// The weight of earlier drafts for each later one; that of the prior.
constexpr double kFading = 0.97;
constexpr double kPriorWeight = 4;

}  // namespace

void StepTimes::note(int rows, double seconds) {
  if (rows < 1 || rows > kRowsMax) return;
  Time& time = times_[static_cast<size_t>(rows)];
  if (time.count++ == 0) {
    time.seconds = seconds;
    return;
  }
  // The first ones as a plain mean.
  const double weight = std::max(kLast, 1.0 / static_cast<double>(time.count));
  time.seconds += weight * (std::min(seconds, kOutlier * time.seconds) - time.seconds);
}

int64_t StepTimes::count(int rows) const {
  return rows < 1 || rows > kRowsMax ? 0 : times_[static_cast<size_t>(rows)].count;
}

double StepTimes::seconds(int rows) const {
  rows = std::clamp(rows, 1, kRowsMax);
  int below = rows;
  while (below > 0 && count(below) == 0) --below;
  int above = rows;
  while (above <= kRowsMax && count(above) == 0) ++above;
  const auto measured = [this](int r) { return times_[static_cast<size_t>(r)].seconds; };
  if (below == rows) return measured(rows);
  if (below > 0 && above <= kRowsMax) {
    const double share = static_cast<double>(rows - below) / (above - below);
    return measured(below) + share * (measured(above) - measured(below));
  }
  if (below > 0) return measured(below) * (1 + kGuessPerRow * (rows - below));
  if (above <= kRowsMax) return measured(above) / (1 + kGuessPerRow * (above - rows));
  return 0;
}

void Acceptance::note(int64_t drafts, int64_t right) {
  for (int64_t i = 0; i < std::min(drafts, right + 1); ++i) {
    right_ = kFading * right_ + (i < right ? 1 : 0);
    tried_ = kFading * tried_ + 1;
  }
}

double Acceptance::share() const {
  return (right_ + kPriorWeight * prior_) / (tried_ + kPriorWeight);
}

int64_t choose_drafts(std::span<DraftOffer> offers, int64_t sequences, const StepCosts& costs) {
  for (DraftOffer& offer : offers) offer.chosen = 0;
  const auto seconds = [&](int64_t rows) { return costs.times->seconds(static_cast<int>(rows)); };
  double tokens = static_cast<double>(sequences);
  const double plain = tokens / seconds(sequences);
  double best = kMargin * plain;
  int64_t best_count = 0;
  bool is_costly = false;
  // One draft more at a time, that which is drawn most probably.
  const auto next = [&]() -> DraftOffer* {
    DraftOffer* found = nullptr;
    double probability = 0;
    for (DraftOffer& offer : offers) {
      if (offer.chosen >= offer.most) continue;
      double p = 1;
      for (int64_t i = 0; i <= offer.chosen; ++i) p *= offer.shares[static_cast<size_t>(i)];
      if (p > probability) {
        found = &offer;
        probability = p;
      }
    }
    if (found != nullptr) tokens += probability;
    return found;
  };
  const auto take = [&](int64_t count) {
    for (int64_t i = 1; i <= count; ++i) {
      DraftOffer* offer = next();
      if (offer == nullptr) return;
      ++offer->chosen;
      is_costly = is_costly || offer->is_costly;
      const double cost = seconds(sequences + i) + (is_costly ? costs.costly_seconds : 0);
      if (tokens > best * cost) {
        best = tokens / cost;
        best_count = i;
      }
    }
  };
  take(costs.rows_max);
  // The same again, up to the best.
  for (DraftOffer& offer : offers) offer.chosen = 0;
  for (int64_t i = 0; i < best_count; ++i) ++next()->chosen;
  return best_count;
}

}  // namespace midge
