// What a scheduler counts.
#include "engine/scheduler/statistics.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

TEST(LatencyHistogram, QuantilesAreRightTo6Percent) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  for (int i = 1; i <= 1000; ++i) histogram.add(i * 1e-3);
  EXPECT_EQ(histogram.count(), 1000);
  for (const double share : {0.001, 0.1, 0.5, 0.95, 0.99, 1.0}) {
    EXPECT_NEAR(histogram.quantile(share), share, 0.06 * share) << share;
  }
}

TEST(LatencyHistogram, TakesTimesOfAnyLength) {
  LatencyHistogram histogram;
  for (const double seconds : {-1.0, 0.0, 1e-9, 1e9}) histogram.add(seconds);
  EXPECT_EQ(histogram.count(), 4);
  EXPECT_LT(histogram.quantile(0.5), 2e-6);
  EXPECT_GT(histogram.quantile(1.0), 3600);
}

}  // namespace
}  // namespace midge
