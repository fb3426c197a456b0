// allocate_bits() against trying every combination.
#include "engine/weights/bit_allocation.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

constexpr Encoding kEncodings[] = {Encoding::kQ4B32MS256, Encoding::kQ5B32MS256, Encoding::kQ8B32};

// Of `weights` weights; divergence by encoding of 4.5, 5.5 and 8.5 bits.
MatrixCosts matrix_of(const char* name, int64_t weights, std::vector<double> divergences) {
  constexpr double kBits[] = {4.5, 5.5, 8.5};
  MatrixCosts matrix = {name, weights, {}};
  for (size_t i = 0; i < divergences.size(); ++i) {
    const auto bytes = static_cast<int64_t>(kBits[i] / 8 * static_cast<double>(weights));
    matrix.costs.push_back({kEncodings[i], bytes, divergences[i]});
  }
  return matrix;
}

struct Sums {
  int64_t bytes = 0;
  int64_t weights = 0;
  double divergence = 0;
};

Sums sums_of(const std::vector<MatrixCosts>& matrices, const std::vector<size_t>& chosen) {
  Sums sums;
  for (size_t i = 0; i < matrices.size(); ++i) {
    sums.bytes += matrices[i].costs[chosen[i]].bytes;
    sums.weights += matrices[i].weights;
    sums.divergence += matrices[i].costs[chosen[i]].divergence;
  }
  return sums;
}

// The least sum of divergences within the bytes.
double best_of_all(const std::vector<MatrixCosts>& matrices, double bytes_max) {
  std::vector<size_t> chosen(matrices.size(), 0);
  double best = INFINITY;
  for (;;) {
    const Sums sums = sums_of(matrices, chosen);
    if (static_cast<double>(sums.bytes) <= bytes_max) best = std::min(best, sums.divergence);
    size_t place = 0;
    while (place < chosen.size() && ++chosen[place] == matrices[place].costs.size()) {
      chosen[place++] = 0;
    }
    if (place == chosen.size()) return best;
  }
}

TEST(BitAllocation, BitsGoWhereTheyTakeMostAway) {
  const std::vector<MatrixCosts> matrices = {matrix_of("even", 4096, {0.02, 0.01, 0.001}),
                                             matrix_of("delicate", 4096, {0.5, 0.2, 0.01}),
                                             matrix_of("robust", 4096, {0.001, 0.0005, 0.0001})};
  const auto chosen = allocate_bits(matrices, 5.9);
  MIDGE_ASSERT_OK(chosen);
  EXPECT_EQ(*chosen, (std::vector<size_t>{0, 2, 0}));
}

TEST(BitAllocation, LeastAndMost) {
  const std::vector<MatrixCosts> matrices = {matrix_of("a", 4096, {0.02, 0.01, 0.001}),
                                             matrix_of("b", 8192, {0.03, 0.02, 0.002})};
  const auto least = allocate_bits(matrices, 4.5);
  MIDGE_ASSERT_OK(least);
  EXPECT_EQ(*least, (std::vector<size_t>{0, 0}));
  const auto most = allocate_bits(matrices, 1e30);
  MIDGE_ASSERT_OK(most);
  EXPECT_EQ(*most, (std::vector<size_t>{2, 2}));
  const auto too_few = allocate_bits(matrices, 4.4);
  EXPECT_EQ(too_few.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(too_few.status().message(), "4.4 bits per weight, expected at least 4.500");
  EXPECT_FALSE(allocate_bits(matrices, NAN).ok());
  EXPECT_TRUE(allocate_bits({}, 4)->empty());
}

// More bits that measure no better are not spent.
TEST(BitAllocation, NothingIsSpentForNothing) {
  const std::vector<MatrixCosts> matrices = {matrix_of("a", 4096, {0.02, 0.03, 0.02}),
                                             matrix_of("b", 4096, {0.02, 0.03, 0.01})};
  const auto chosen = allocate_bits(matrices, 9);
  MIDGE_ASSERT_OK(chosen);
  EXPECT_EQ(*chosen, (std::vector<size_t>{0, 2}));
}

// What does not fit any more is one upgrade, so that is the most that is missed.
TEST(BitAllocation, MissesTheBestByOneUpgrade) {
  constexpr size_t kMatrices = 8;
  for (uint64_t round = 0; round < 20; ++round) {
    const auto values = test::test_floats(test::DataSort::kNormal, kMatrices, round);
    std::vector<MatrixCosts> matrices;
    double largest = 0;
    for (size_t i = 0; i < kMatrices; ++i) {
      const double at_4 = 0.01 + std::abs(static_cast<double>(values[i]));
      largest = std::max(largest, at_4);
      matrices.push_back(
          matrix_of("m", 1024 * static_cast<int64_t>(1 + i % 3), {at_4, at_4 / 3.5, at_4 / 200}));
    }
    for (const double bits : {4.6, 5.0, 5.5, 6.5, 8.0}) {
      const auto chosen = allocate_bits(matrices, bits);
      MIDGE_ASSERT_OK(chosen);
      const Sums sums = sums_of(matrices, *chosen);
      const double bytes_max = bits / 8 * static_cast<double>(sums.weights);
      EXPECT_LE(static_cast<double>(sums.bytes), bytes_max);
      EXPECT_LE(sums.divergence, best_of_all(matrices, bytes_max) + largest) << bits;
    }
  }
}

}  // namespace
}  // namespace midge
