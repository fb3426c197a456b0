// The error of exp_f32 over its range, and its bits in the kernels that take shortcuts.
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/exp_f32.h"
#include "tests/harness/kernel_harness.h"

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

// Every `step`th float from bits `first` on, with both signs.
std::vector<float> gates(uint32_t first, uint32_t last, uint32_t step) {
  std::vector<float> values;
  for (uint32_t bits = first; bits < last; bits += step) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(std::bit_cast<float>(bits | 0x80000000u));
  }
  return values;
}

// silu_mul kernels may know that 1 + exp_f32(x) hides some of exp_f32.
TEST(Exp, SiluMulHasItsBits) {
  const uint32_t step = kStep * 63 + 1;
  std::vector<float> gate = gates(0, 0x7F800001u, step);
  // All from 88.7 to 89.1, where the exponential overflows.
  const std::vector<float> ends = gates(0x42B16666u, 0x42B23333u, 1);
  gate.insert(gate.end(), ends.begin(), ends.end());
  for (const uint32_t bits : {0u, 0x7F800000u, 0x7FC00000u, 0x7F7FFFFFu, 1u}) {
    for (const float value : gates(bits, bits + 1, 1)) gate.push_back(value);
  }
  const std::vector<float> up(gate.size(), 1.0f);
  std::vector<float> expected(gate.size());
  std::vector<float> out(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) expected[i] = gate[i] / (1.0f + exp_f32(-gate[i]));
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.op != Op::kSiluMul || !test::can_run(kernel)) continue;
    const SiluMulArgs args = {static_cast<int64_t>(gate.size()), gate.data(), up.data(),
                              out.data()};
    reinterpret_cast<SiluMulFunction>(kernel.function)(&args);
    for (size_t i = 0; i < gate.size(); ++i) {
      ASSERT_TRUE(std::bit_cast<uint32_t>(out[i]) == std::bit_cast<uint32_t>(expected[i]) ||
                  (std::isnan(out[i]) && std::isnan(expected[i])))
          << kernel.name << ' ' << gate[i] << ": " << out[i] << ", not " << expected[i];
    }
  }
}

}  // namespace
}  // namespace midge::generic
