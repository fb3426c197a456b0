// Decoding of every weight encoding, bit for bit like the gguf package.
#include <bit>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <gtest/gtest.h>

#include "kernels/half.h"
#include "kernels/kernels.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

struct BlockCase {
  const char* file;
  Encoding encoding;
};

class Blocks : public ::testing::TestWithParam<BlockCase> {};

TEST_P(Blocks, DecodeLikeTheGgufPackage) {
  const test::GoldenFile golden(std::string("golden/blocks/") + GetParam().file + ".safetensors");
  const std::vector<uint8_t> bytes = golden.u8("bytes");
  const std::vector<float> expected = golden.f32("values");
  const EncodingInfo& info = encoding_info(GetParam().encoding);
  ASSERT_EQ(golden.shape("bytes")[1], static_cast<uint64_t>(info.block_bytes));
  ASSERT_EQ(golden.shape("values")[1], static_cast<uint64_t>(info.block_elements));
  std::vector<uint16_t> aligned((bytes.size() + 1) / 2);
  std::memcpy(aligned.data(), bytes.data(), bytes.size());
  std::vector<float> values(expected.size());
  for (const KernelInfo& kernel : all_kernels()) {
    if (kernel.op != Op::kDequantize || kernel.encoding != GetParam().encoding) continue;
    const DequantizeArgs args = {static_cast<int64_t>(expected.size()), aligned.data(),
                                 values.data()};
    reinterpret_cast<DequantizeFunction>(kernel.function)(&args);
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), values.size() * sizeof(float)), 0)
        << kernel.name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Encodings, Blocks,
    ::testing::Values(BlockCase{"q4_0", Encoding::kQ4B32}, BlockCase{"q4_1", Encoding::kQ4B32M},
                      BlockCase{"q5_0", Encoding::kQ5B32}, BlockCase{"q5_1", Encoding::kQ5B32M},
                      BlockCase{"q8_0", Encoding::kQ8B32}, BlockCase{"q4_k", Encoding::kQ4B32MS256},
                      BlockCase{"q5_k", Encoding::kQ5B32MS256},
                      BlockCase{"q6_k", Encoding::kQ6B16S256}, BlockCase{"f16", Encoding::kF16},
                      BlockCase{"bf16", Encoding::kBF16}),
    [](const auto& c) { return std::string(c.param.file); });

TEST(Half, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (value != value) {
      EXPECT_EQ(bits & 0x7C00u, 0x7C00u);
      EXPECT_NE(f32_to_f16(value) & 0x3FFu, 0u);
    } else {
      EXPECT_EQ(f32_to_f16(value), bits);
    }
  }
}

// Some programs have their CPU take subnormal f32 for zero, in all threads that they start.
TEST(Half, SubnormalsDoNotDependOnTheModeOfTheCpu) {
  std::vector<uint32_t> expected(0x10000);
  std::vector<uint32_t> found(0x10000);
  const auto convert = [](std::vector<uint32_t>& to) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      to[bits] = std::bit_cast<uint32_t>(f16_to_f32(static_cast<uint16_t>(bits)));
    }
  };
  convert(expected);
#if defined(__x86_64__)
  const uint32_t mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040);  // FTZ, DAZ
  convert(found);
  _mm_setcsr(mode);
#elif defined(__aarch64__)
  uint64_t mode = 0;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  __asm__ volatile("msr fpcr, %0" : : "r"(mode | (uint64_t{1} << 24)) : "memory");  // FZ
  convert(found);
  __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
#else
  GTEST_SKIP() << "no such mode is known";
#endif
  EXPECT_EQ(found, expected);
  EXPECT_EQ(std::bit_cast<float>(expected[1]), 0x1p-24f);
}

TEST(Half, RoundsToNearestEven) {
  // Every f16 interval: its midpoint goes to the even end, its neighbours to the nearer one.
  for (uint32_t bits = 0; bits < 0x7BFF; ++bits) {
    const double low = f16_to_f32(static_cast<uint16_t>(bits));
    const double high = f16_to_f32(static_cast<uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    EXPECT_EQ(f32_to_f16(middle), even) << bits;
    EXPECT_EQ(f32_to_f16(std::bit_cast<float>(std::bit_cast<uint32_t>(middle) - 1)), bits);
    EXPECT_EQ(f32_to_f16(std::bit_cast<float>(std::bit_cast<uint32_t>(middle) + 1)), bits + 1);
    EXPECT_EQ(f32_to_f16(-middle), even | 0x8000u);
  }
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(f32_to_f16(1e30f), 0x7C00);
  EXPECT_EQ(f32_to_f16(-__builtin_inff()), 0xFC00);
  EXPECT_EQ(f32_to_f16(1e-10f), 0);
}

}  // namespace
}  // namespace midge
