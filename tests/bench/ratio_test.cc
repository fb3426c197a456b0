// Quantiles and the intervals of ratios, against values worked out by hand.
#include <gtest/gtest.h>

#include "bench/model/statistics.h"

namespace midge::bench {
namespace {

TEST(BenchStatistics, QuantilesAreInterpolated) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.99), 7);
}

TEST(BenchStatistics, SpreadIsHalfTheQuartileRange) {
  EXPECT_DOUBLE_EQ(relative_spread({10, 10, 10}), 0);
  EXPECT_DOUBLE_EQ(relative_spread({8, 9, 10, 11, 12}), 0.1);
  EXPECT_DOUBLE_EQ(relative_spread({5}), 0);
}

// The sign test: of 6 pairs the extremes hold the median with 1 - 2/64; of 10 the second from each
// end with 1 - 2 * 11/1024.
TEST(BenchStatistics, IntervalsAreThoseOfTheSignTest) {
  const std::vector<double> one(10, 1.0);
  const Ratio six = paired_ratio({1, 2, 3, 4, 5, 6}, one);
  EXPECT_DOUBLE_EQ(six.low, 1);
  EXPECT_DOUBLE_EQ(six.high, 6);
  EXPECT_NEAR(six.confidence, 1 - 2.0 / 64, 1e-12);
  const Ratio ten = paired_ratio({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, one);
  EXPECT_DOUBLE_EQ(ten.middle, 5.5);
  EXPECT_DOUBLE_EQ(ten.low, 2);
  EXPECT_DOUBLE_EQ(ten.high, 9);
  EXPECT_NEAR(ten.confidence, 1 - 2 * 11.0 / 1024, 1e-12);
}

// 0.5^n is zero in a double from n = 1075 on. With the normal approximation the interval of 2,000
// pairs lies 1.96 * sqrt(2000) / 2 = 44 pairs on each side of the middle.
TEST(BenchStatistics, ManyPairsHaveAnIntervalToo) {
  std::vector<double> values;
  for (int i = 1; i <= 2000; ++i) values.push_back(i);
  const Ratio ratio = paired_ratio(values, std::vector<double>(2000, 1.0));
  EXPECT_NEAR(ratio.low, 1000.5 - 44, 2);
  EXPECT_NEAR(ratio.high, 1000.5 + 44, 2);
  EXPECT_NEAR(ratio.confidence, 0.95, 0.005);
}

TEST(BenchStatistics, OnePairSaysNothing) { EXPECT_EQ(paired_ratio({2}, {1}).confidence, 0); }

// What both drift by cancels out.
TEST(BenchStatistics, PairsShareTheirDrift) {
  const Ratio ratio = paired_ratio({2, 4, 8, 16, 32, 64}, {1, 2, 4, 8, 16, 32});
  EXPECT_DOUBLE_EQ(ratio.low, 2);
  EXPECT_DOUBLE_EQ(ratio.high, 2);
}

}  // namespace
}  // namespace midge::bench
