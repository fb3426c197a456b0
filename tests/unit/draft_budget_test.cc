// How many drafts: against every choice that there is.
#include "engine/speculation/draft_budget.h"

#include <cmath>

#include <gtest/gtest.h>

namespace midge {
namespace {

// Steps of m rows take 1 + slope (m - 1).
StepTimes linear_times(double slope) {
  StepTimes times;
  for (int rows = 1; rows <= StepTimes::kRowsMax; ++rows) times.note(rows, 1 + slope * (rows - 1));
  return times;
}

DraftOffer offer(int64_t most, double share, bool is_costly = false) {
  DraftOffer offer;
  offer.most = most;
  offer.shares.fill(share);
  offer.is_costly = is_costly;
  return offer;
}

double rate(const StepTimes& times, std::span<const DraftOffer> offers, double costly,
            const std::vector<int64_t>& chosen) {
  double tokens = static_cast<double>(offers.size());
  int64_t rows = static_cast<int64_t>(offers.size());
  bool is_costly = false;
  for (size_t i = 0; i < offers.size(); ++i) {
    double p = 1;
    for (int64_t j = 0; j < chosen[i]; ++j) tokens += p *= offers[i].shares[static_cast<size_t>(j)];
    rows += chosen[i];
    is_costly = is_costly || (chosen[i] > 0 && offers[i].is_costly);
  }
  return tokens / (times.seconds(static_cast<int>(rows)) + (is_costly ? costly : 0));
}

TEST(DraftBudget, AsTheBestOfAllChoices) {
  for (const double slope : {0.0, 0.05, 0.2, 0.5, 1.0}) {
    for (const double a : {0.1, 0.4, 0.8, 0.95}) {
      for (const double b : {0.2, 0.7}) {
        SCOPED_TRACE(testing::Message() << slope << " " << a << " " << b);
        const StepTimes times = linear_times(slope);
        std::vector<DraftOffer> offers = {offer(4, a), offer(3, b)};
        const StepCosts costs = {&times, 0, 8};
        choose_drafts(offers, 2, costs);
        double best = 0;
        for (int64_t i = 0; i <= 4; ++i) {
          for (int64_t j = 0; j <= 3; ++j) {
            best = std::max(best, rate(times, offers, 0, {i, j}));
          }
        }
        const double got = rate(times, offers, 0, {offers[0].chosen, offers[1].chosen});
        EXPECT_GE(got, best / 1.011);
      }
    }
  }
}

TEST(DraftBudget, NoneWhereTheyDoNotRepay) {
  const StepTimes times = linear_times(0.5);
  std::vector<DraftOffer> offers = {offer(7, 0.4)};
  EXPECT_EQ(choose_drafts(offers, 1, {&times, 0, 7}), 0);
  EXPECT_EQ(offers[0].chosen, 0);
}

TEST(DraftBudget, CountsThePassThatMakesThem) {
  const StepTimes times = linear_times(0.1);
  std::vector<DraftOffer> offers = {offer(1, 0.3, true)};
  EXPECT_EQ(choose_drafts(offers, 1, {&times, 0.05, 7}), 1);
  EXPECT_EQ(choose_drafts(offers, 1, {&times, 0.25, 7}), 0);
}

TEST(DraftBudget, NotMoreThanThereIsRoomFor) {
  const StepTimes times = linear_times(0.0);
  std::vector<DraftOffer> offers = {offer(7, 0.9), offer(7, 0.8)};
  EXPECT_EQ(choose_drafts(offers, 2, {&times, 0, 5}), 5);
  EXPECT_GT(offers[0].chosen, offers[1].chosen);
}

TEST(StepTimes, GuessesBetweenWhatWasMeasured) {
  StepTimes times;
  EXPECT_EQ(times.seconds(3), 0);
  times.note(2, 1.0);
  times.note(6, 3.0);
  EXPECT_DOUBLE_EQ(times.seconds(4), 2.0);
  EXPECT_LT(times.seconds(1), 1.0);
  EXPECT_GT(times.seconds(7), 3.0);
  EXPECT_LT(times.seconds(7), 3.5);
}

// One step beside another program is no new cost of steps.
TEST(StepTimes, OutliersCountLittle) {
  StepTimes times;
  for (int i = 0; i < 20; ++i) times.note(1, 1.0);
  times.note(1, 50.0);
  EXPECT_LT(times.seconds(1), 1.1);
}

TEST(Acceptance, FollowsTheLastDrafts) {
  Acceptance acceptance(0.6);
  EXPECT_DOUBLE_EQ(acceptance.share(), 0.6);
  for (int i = 0; i < 100; ++i) acceptance.note(4, 4);
  EXPECT_GT(acceptance.share(), 0.9);
  for (int i = 0; i < 60; ++i) acceptance.note(4, 0);
  EXPECT_LT(acceptance.share(), 0.25);
}

}  // namespace
}  // namespace midge
