// The comparison that parity tests rest on must not lose anything.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/harness/running.h"

namespace midge {
namespace {

TEST(Harness, RelativeErrorKeepsTheWorst) {
  const std::vector<float> expected = {1, 2, 3, 5};
  EXPECT_EQ(test::relative_error(expected, expected), 0.0f);
  EXPECT_EQ(test::relative_error(expected, std::vector<float>{1, 4, 3, 5}), 0.5f);
  for (size_t i = 0; i < expected.size(); ++i) {
    std::vector<float> found = expected;
    found[i] = NAN;
    EXPECT_TRUE(std::isnan(test::relative_error(expected, found))) << i;
  }
}

}  // namespace
}  // namespace midge
