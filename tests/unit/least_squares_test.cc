// Scales of blocks against a search of many more, and against what they must not depend on.
#include "engine/weights/least_squares.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tests/harness/test_data.h"
#include "tests/harness/tolerance.h"

namespace midge {
namespace {

struct Block {
  std::vector<float> x;
  std::vector<float> weight;

  FitInput input() const { return {x.data(), weight.data()}; }
};

Block block(test::DataSort sort, uint64_t seed) {
  Block made = {test::test_floats(sort, kFitBlock, seed),
                test::test_floats(test::DataSort::kNormal, kFitBlock, seed + 1000)};
  for (float& weight : made.weight) weight = weight * weight + 0.01f;
  return made;
}

// The line of a block in every lane of eight.
ScaleAndMinimum fit_range(const Block& b, int highest, float minimum_max) {
  Block eight;
  for (int lane = 0; lane < kFitLanes; ++lane) {
    eight.x.insert(eight.x.end(), b.x.begin(), b.x.end());
    eight.weight.insert(eight.weight.end(), b.weight.begin(), b.weight.end());
  }
  FitLines lines;
  fit_ranges(FitBlocks(eight.input(), kFitLanes), highest, minimum_max, &lines);
  for (int lane = 1; lane < kFitLanes; ++lane) {
    EXPECT_EQ(std::memcmp(&lines.scale[lane], &lines.scale[0], sizeof(float)), 0) << lane;
    EXPECT_EQ(std::memcmp(&lines.minimum[lane], &lines.minimum[0], sizeof(float)), 0) << lane;
  }
  return lines.of(0);
}

double error_of(const Block& b, double scale, double minimum, int lowest, int highest) {
  double error = 0;
  for (int i = 0; i < kFitBlock; ++i) {
    const auto at = static_cast<size_t>(i);
    const double x = static_cast<double>(b.x[at]);
    const double q = scale == 0
                         ? 0
                         : std::clamp(std::nearbyint((x - minimum) / scale),
                                      static_cast<double>(lowest), static_cast<double>(highest));
    const double off = x - (scale * q + minimum);
    error += static_cast<double>(b.weight[at]) * off * off;
  }
  return error;
}

TEST(LeastSquares, ScaleIsNearTheBestOfThousands) {
  double sum = 0;
  double best_sum = 0;
  double plain_sum = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Block b = block(test::DataSort::kNormal, seed);
    float far = 0;
    for (const float x : b.x) far = std::fabs(x) > std::fabs(far) ? x : far;
    double best = INFINITY;
    for (int i = 200; i < 2200; ++i) {
      const double scale = static_cast<double>(far) / 8 * i / 1000;
      best = std::min({best, error_of(b, scale, 0, -8, 7), error_of(b, -scale, 0, -8, 7)});
    }
    const double mine = error_of(b, static_cast<double>(fit_scale(b.input(), -8, 7)), 0, -8, 7);
    EXPECT_LE(mine, 1.5 * best) << seed;
    sum += mine;
    best_sum += best;
    plain_sum += error_of(b, static_cast<double>(far) / -8, 0, -8, 7);
  }
  test::expect_within(sum / best_sum - 1, 0.06, "error above that of the best of 4000 scales");
  std::printf("[ error    ] of the largest magnitude's scale: %.2f times the best\n",
              plain_sum / best_sum);
  EXPECT_GT(plain_sum, 1.2 * sum);
}

TEST(LeastSquares, RangeIsNearTheBestOfThousands) {
  double sum = 0;
  double best_sum = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Block b = block(test::DataSort::kNormal, seed);
    const auto [least, most] = std::minmax_element(b.x.begin(), b.x.end());
    const double width = static_cast<double>(*most) - static_cast<double>(*least);
    double best = INFINITY;
    for (int i = 0; i <= 60; ++i) {
      for (int j = 0; j <= 60; ++j) {
        const double low = static_cast<double>(*least) + width * 0.3 * i / 60 - 0.05 * width;
        const double high = static_cast<double>(*most) - width * 0.3 * j / 60 + 0.05 * width;
        best = std::min(best, error_of(b, (high - low) / 15, low, 0, 15));
      }
    }
    const ScaleAndMinimum fit = fit_range(b, 15, INFINITY);
    const double mine =
        error_of(b, static_cast<double>(fit.scale), static_cast<double>(fit.minimum), 0, 15);
    sum += mine;
    best_sum += best;
  }
  test::expect_within(sum / best_sum - 1, 0.12, "error above that of the best of 3721 ranges");
}

TEST(LeastSquares, MinimumsStayBelowTheirLimit) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Block b = block(test::DataSort::kNormal, seed);
    for (float& x : b.x) x += 1.0f;
    const ScaleAndMinimum fit = fit_range(b, 15, 0.0f);
    EXPECT_LE(fit.minimum, 0.0f);
    EXPECT_GE(fit.scale, 0.0f);
  }
}

// What lies in the other lanes does not matter, nor whether there is anything.
TEST(LeastSquares, LanesAreIndependent) {
  Block eight;
  for (uint64_t lane = 0; lane < kFitLanes; ++lane) {
    const Block b = block(lane == 2 ? test::DataSort::kExtreme : test::DataSort::kNormal, lane);
    eight.x.insert(eight.x.end(), b.x.begin(), b.x.end());
    eight.weight.insert(eight.weight.end(), b.weight.begin(), b.weight.end());
  }
  FitLines together;
  fit_ranges(FitBlocks(eight.input(), kFitLanes), 15, 0.0f, &together);
  FitLines three;
  fit_ranges(FitBlocks(eight.input(), 3), 15, 0.0f, &three);
  for (int lane = 0; lane < kFitLanes; ++lane) {
    SCOPED_TRACE(lane);
    const Block alone = {
        {eight.x.begin() + kFitBlock * lane, eight.x.begin() + kFitBlock * (lane + 1)},
        {eight.weight.begin() + kFitBlock * lane, eight.weight.begin() + kFitBlock * (lane + 1)}};
    const ScaleAndMinimum expected = fit_range(alone, 15, 0.0f);
    EXPECT_EQ(together.scale[lane], expected.scale);
    EXPECT_EQ(together.minimum[lane], expected.minimum);
    if (lane >= 3) continue;
    EXPECT_EQ(three.scale[lane], expected.scale);
    EXPECT_EQ(three.minimum[lane], expected.minimum);
  }
}

// Of the whole numbers around each line, no pair has less error than the one that is taken.
TEST(LeastSquares, LinesAreRoundedTogether) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Block b = block(test::DataSort::kNormal, seed);
    const FitBlocks blocks(b.input(), 1);
    FitLines lines;
    fit_ranges(blocks, 15, 0.0f, &lines);
    const float scale_unit = lines.scale[0] / 13.4f;
    const float minimum_unit = -lines.minimum[0] / 40.6f;
    WholeLines whole;
    round_lines(blocks, lines, scale_unit, minimum_unit, 15, &whole);
    const auto error = [&](int scale, int minimum) {
      return error_of(b, static_cast<double>(scale_unit * static_cast<float>(scale)),
                      static_cast<double>(-minimum_unit * static_cast<float>(minimum)), 0, 15);
    };
    const double mine = error(whole.scale[0], whole.minimum[0]);
    for (int scale = 12; scale <= 14; ++scale) {
      for (int minimum = 40; minimum <= 42; ++minimum) {
        EXPECT_LE(mine, error(scale, minimum) * (1 + 1e-5)) << scale << " " << minimum;
      }
    }
  }
}

TEST(LeastSquares, ExtremeIsTheFirstOfTheFarthest) {
  Block b = block(test::DataSort::kNormal, 3);
  for (size_t i = 0; i < b.x.size(); ++i) {
    for (const float far : {50.0f, -50.0f}) {
      std::vector<float> x = b.x;
      x[i] = far;
      EXPECT_EQ(extreme(x.data()), far) << i;
      x[31 - i] = -far;
      EXPECT_EQ(extreme(x.data()), i <= 31 - i ? x[i] : -far) << i;
      x[(i + 7) % 32] = INFINITY;
      EXPECT_EQ(extreme(x.data()), INFINITY);
      x[(i + 9) % 32] = NAN;
      EXPECT_TRUE(std::isnan(extreme(x.data())));
    }
  }
}

// A column that does not count does not move the scale, however far its weight is.
TEST(LeastSquares, ColumnsOfNoWeightDoNotCount) {
  Block b = block(test::DataSort::kNormal, 1);
  b.weight.assign(b.weight.size(), 1.0f);
  for (size_t i = 0; i < b.x.size(); ++i) b.x[i] = static_cast<float>(i % 16) - 8.0f;
  b.x[5] = 9.5f;
  b.weight[5] = 0.0f;
  EXPECT_EQ(error_of(b, static_cast<double>(fit_scale(b.input(), -8, 7)), 0, -8, 7), 0.0);
  b.weight[5] = 1e6f;
  EXPECT_GT(error_of(b, static_cast<double>(fit_scale(b.input(), -8, 7)), 0, -8, 7), 0.0);
}

TEST(LeastSquares, NothingToFit) {
  Block b;
  b.x.assign(kFitBlock, 0.0f);
  b.weight.assign(kFitBlock, 1.0f);
  EXPECT_EQ(fit_scale(b.input(), -8, 7), 0.0f);
  EXPECT_EQ(fit_range(b, 15, 0.0f).scale, 0.0f);
  b.x.assign(kFitBlock, 2.0f);
  b.weight.assign(kFitBlock, 0.0f);
  EXPECT_EQ(fit_scale(b.input(), -8, 7), -0.25f);
  b.x[3] = NAN;
  EXPECT_TRUE(std::isnan(fit_scale(b.input(), -8, 7)));
  EXPECT_FALSE(std::isfinite(fit_range(b, 15, 0.0f).scale));
}

}  // namespace
}  // namespace midge
