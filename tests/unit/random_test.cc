#include "engine/session/random.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

// Known answers of the authors' Random123 library (kat_vectors, philox4x32 10).
TEST(Random, PhiloxKnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The definition is promised to users: these numbers must never change.
TEST(Random, DefinitionIsFixed) {
  EXPECT_EQ(uniform_at(0, 0), 0x6627e8d5 * 0x1p-32);
  EXPECT_EQ(uniform_at(0x299f31d0a4093822u, 0x85a308d3243f6a88u),
            philox4x32({0x243f6a88, 0x85a308d3, 0, 0}, {0xa4093822, 0x299f31d0})[0] * 0x1p-32);
}

TEST(Random, IsUniform) {
  // Mean and variance of 2^16 numbers within five standard errors.
  double sum = 0;
  double squares = 0;
  const int count = 1 << 16;
  for (int i = 0; i < count; ++i) {
    const double u = uniform_at(42, static_cast<uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += (u - 0.5) * (u - 0.5);
  }
  EXPECT_NEAR(sum / count, 0.5, 5 * 0.2887 / 256);
  EXPECT_NEAR(squares / count, 1.0 / 12, 5 * 0.0745 / 256);
}

}  // namespace
}  // namespace midge
