#include "engine/platform/cpu_features.h"
#include "kernels/kernels.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace midge {
namespace {

// Magnitudes of 1, signs in turns.
std::vector<float> ordinary(int64_t count) {
  std::vector<float> x;
  for (int64_t i = 0; i < count; ++i) x.push_back(i % 3 == 0 ? -1.0f : 1.0f);
  return x;
}

struct Taken {
  std::vector<int32_t> columns;
  std::vector<float> values;
};

Taken take(std::vector<float>* x) {
  Outlier items[kOutliersMax];
  uint8_t count = 0;
  const TakeOutliersArgs args = {static_cast<int64_t>(x->size()), x->data(), &count, items};
  make_kernel_table({detect_cpu_features()}).take_outliers(&args);
  Taken taken;
  for (int i = 0; i < count; ++i) {
    taken.columns.push_back(items[i].column);
    taken.values.push_back(items[i].value);
  }
  return taken;
}

TEST(Outliers, NoneAmongEqualsOrZeros) {
  for (const int64_t count : {1, 15, 16, 40, 256}) {
    std::vector<float> x = ordinary(count);
    EXPECT_TRUE(take(&x).columns.empty()) << count;
    EXPECT_EQ(x, ordinary(count));
    std::vector<float> zeros(static_cast<size_t>(count), 0.0f);
    EXPECT_TRUE(take(&zeros).columns.empty()) << count;
  }
}

TEST(Outliers, BeyondEightTimesTheMean) {
  // Magnitudes sum up to 255 + v: v is beyond when v > 8 * (255 + v) / 256, v > 8.226.
  std::vector<float> x = ordinary(256);
  x[77] = -8.2f;
  EXPECT_TRUE(take(&x).columns.empty());
  EXPECT_EQ(x[77], -8.2f);
  x[77] = -8.25f;
  const Taken taken = take(&x);
  EXPECT_EQ(taken.columns, std::vector<int32_t>{77});
  EXPECT_EQ(taken.values, std::vector<float>{-8.25f});
  EXPECT_EQ(x[77], 0.0f);
}

TEST(Outliers, AtEveryPlace) {
  for (const int64_t count : {19, 64, 255, 256}) {
    for (int64_t at = 0; at < count; ++at) {
      std::vector<float> x = ordinary(count);
      x[static_cast<size_t>(at)] = 100;
      const Taken taken = take(&x);
      ASSERT_EQ(taken.columns, std::vector<int32_t>{static_cast<int32_t>(at)}) << count;
      x[static_cast<size_t>(at)] = ordinary(count)[static_cast<size_t>(at)];
      ASSERT_EQ(x, ordinary(count));
    }
  }
}

TEST(Outliers, TheLargestByColumn) {
  std::vector<float> x(256, 0.001f);
  // Ten: of the four of magnitude 50, the first two.
  const std::vector<int32_t> columns = {3, 20, 21, 90, 91, 150, 199, 200, 254, 255};
  const std::vector<float> values = {-50, 60, 50, 70, -80, -50, 61, 50, 90, -62};
  for (size_t i = 0; i < columns.size(); ++i) x[static_cast<size_t>(columns[i])] = values[i];
  const Taken taken = take(&x);
  EXPECT_EQ(taken.columns, (std::vector<int32_t>{3, 20, 21, 90, 91, 199, 254, 255}));
  EXPECT_EQ(taken.values, (std::vector<float>{-50, 60, 50, 70, -80, 61, 90, -62}));
  for (const int32_t column : taken.columns) EXPECT_EQ(x[static_cast<size_t>(column)], 0.0f);
  EXPECT_EQ(x[150], -50.0f);
  EXPECT_EQ(x[200], 50.0f);
}

TEST(Outliers, NoneBesideInfinitiesAndNaN) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    for (const size_t at : {0u, 100u, 255u}) {
      std::vector<float> x = ordinary(256);
      x[at] = bad;
      x[50] = 1000;
      EXPECT_TRUE(take(&x).columns.empty());
      EXPECT_EQ(x[50], 1000.0f);
    }
  }
}

}  // namespace
}  // namespace midge
