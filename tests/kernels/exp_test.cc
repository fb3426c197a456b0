// The error of exp_f32 over its range.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/generic/exp_f32.h"

namespace midge::generic {
namespace {

#ifdef MIDGE_EMULATED
constexpr uint32_t kStep = 1024;
#else
constexpr uint32_t kStep = 64;
#endif

TEST(Exp, WithinOneUlp) {
  double worst = 0;
  float worst_input = 0;
  for (const uint32_t sign : {0u, 0x80000000u}) {
    for (uint32_t bits = 0; bits < 0x42B80000u; bits += kStep) {
      const float x = std::bit_cast<float>(bits | sign);
      if (x < -87.33654f || x > 88.72283f) break;
      const double expected = std::exp(static_cast<double>(x));
      const auto rounded = static_cast<float>(expected);
      const double ulp =
          std::nextafter(rounded, std::numeric_limits<float>::infinity()) - double{rounded};
      const double error = std::fabs(exp_f32(x) - expected) / ulp;
      if (error > worst) {
        worst = error;
        worst_input = x;
      }
    }
  }
  std::printf("[ exp      ] worst error %.3f ulp at %a\n", worst, static_cast<double>(worst_input));
  EXPECT_LE(worst, 1.1);
}

TEST(Exp, Ends) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp_f32(0.0f), 1.0f);
  EXPECT_EQ(exp_f32(-0.0f), 1.0f);
  EXPECT_EQ(exp_f32(infinity), infinity);
  EXPECT_EQ(exp_f32(-infinity), 0.0f);
  EXPECT_EQ(exp_f32(89.0f), infinity);
  EXPECT_EQ(exp_f32(1e30f), infinity);
  EXPECT_EQ(exp_f32(-88.0f), 0.0f);
  EXPECT_EQ(exp_f32(-1e30f), 0.0f);
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isfinite(exp_f32(88.72283f)));
  EXPECT_GT(exp_f32(-87.33654f), 0.0f);
}

}  // namespace
}  // namespace midge::generic
