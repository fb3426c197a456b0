#include "engine/core/arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "engine/core/poison.h"

namespace midge {
namespace {

struct Parts {
  float* x;
  int8_t* codes;
  double* sums;
  uint8_t* page;
};

Result<AlignedBuffer> carve(Parts& parts) {
  ArenaPlan plan;
  plan.add(&parts.x, 3);
  plan.add(&parts.codes, 65);
  plan.add(&parts.sums, 8);
  plan.add(&parts.page, 1, 4096);
  return plan.create("the test's parts");
}

bool on_multiple_of(const void* part, uintptr_t alignment) {
  return reinterpret_cast<uintptr_t>(part) % alignment == 0;
}

TEST(Arena, PartsAreAlignedApartAndZeroed) {
  Parts parts;
  auto buffer = carve(parts);
  ASSERT_TRUE(buffer.ok()) << buffer.status().message();
  EXPECT_TRUE(on_multiple_of(parts.x, 64));
  EXPECT_TRUE(on_multiple_of(parts.codes, 64));
  EXPECT_TRUE(on_multiple_of(parts.sums, 64));
  EXPECT_TRUE(on_multiple_of(parts.page, 4096));
  EXPECT_GE(reinterpret_cast<uint8_t*>(parts.codes), reinterpret_cast<uint8_t*>(parts.x + 3));
  EXPECT_GE(reinterpret_cast<uint8_t*>(parts.sums), reinterpret_cast<uint8_t*>(parts.codes + 65));
  EXPECT_GE(parts.page, reinterpret_cast<uint8_t*>(parts.sums + 8));
  EXPECT_LE(parts.page + 1, buffer->data() + buffer->bytes());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(parts.x[i], 0.0F);
  for (int i = 0; i < 65; ++i) EXPECT_EQ(parts.codes[i], 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(parts.sums[i], 0.0);
  EXPECT_EQ(parts.page[0], 0);
}

TEST(Arena, PartsCanBeWrittenToTheLastByte) {
  Parts parts;
  auto buffer = carve(parts);
  ASSERT_TRUE(buffer.ok());
  std::memset(parts.x, 1, 3 * sizeof(float));
  std::memset(parts.codes, 2, 65);
  std::memset(parts.sums, 3, 8 * sizeof(double));
  parts.page[0] = 4;
  EXPECT_EQ(parts.codes[0], 2);
  EXPECT_EQ(parts.codes[64], 2);
}

#if !defined(MIDGE_ASAN)  // which leaves gaps between parts
TEST(Arena, PartsCostTheirBytesAlone) {
  EXPECT_EQ(Arena::room(0), 0);
  EXPECT_EQ(Arena::room(1), 64);
  EXPECT_EQ(Arena::room(64), 64);
  EXPECT_EQ(Arena::room(65), 128);
  EXPECT_EQ(Arena::room(64, 16), 64);
  EXPECT_EQ(Arena::room(64, 4096), 4096);
}
#endif

TEST(Arena, APlanHoldsItsPartsInAnyOrder) {
  // Sizes and alignments around every boundary: what the plan adds up is enough for the carving,
  // which checks that each part fits.
  constexpr int64_t kAlignments[] = {8, 64, 128, 4096};
  for (int64_t first = 0; first < 70; ++first) {
    for (const int64_t first_alignment : kAlignments) {
      for (const int64_t second_alignment : kAlignments) {
        uint8_t* a = nullptr;
        uint8_t* b = nullptr;
        ArenaPlan plan;
        plan.add(&a, first, first_alignment);
        plan.add(&b, 129, second_alignment);
        auto buffer = plan.create("two parts");
        ASSERT_TRUE(buffer.ok());
        ASSERT_EQ(a == nullptr, first == 0);
        ASSERT_TRUE(on_multiple_of(a, static_cast<uintptr_t>(first_alignment)));
        ASSERT_TRUE(on_multiple_of(b, static_cast<uintptr_t>(second_alignment)));
        ASSERT_LE(b + 129, buffer->data() + buffer->bytes());
        if (a != nullptr) {
          ASSERT_LE(a + first, b);
        }
      }
    }
  }
}

TEST(Arena, LeftIsWhatFollowsTheLastPart) {
  auto buffer = AlignedBuffer::create(Arena::room(64) + Arena::room(100), "two parts");
  ASSERT_TRUE(buffer.ok());
  Arena arena(*buffer);
  EXPECT_EQ(arena.left(), buffer->bytes());
  arena.take<uint8_t>(64);
  EXPECT_EQ(arena.left(), Arena::room(100));
  arena.take<uint8_t>(100);
  EXPECT_EQ(arena.left(), 0);
}

TEST(Arena, NoPartsTakeNoMemory) {
  float* none = nullptr;
  ArenaPlan plan;
  plan.add(&none, 0);
  EXPECT_EQ(plan.bytes(), 0);
  auto buffer = plan.create("nothing");
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(buffer->data(), nullptr);
}

TEST(Arena, SizesThatDoNotFitAreOutOfMemory) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const int64_t count : {kMax, kMax / 4, kMax / 8}) {
    float* x = nullptr;
    double* y = nullptr;
    ArenaPlan plan;
    plan.add(&x, count);
    plan.add(&y, count);
    auto buffer = plan.create("far too much");
    ASSERT_FALSE(buffer.ok());
    EXPECT_EQ(buffer.status().code(), StatusCode::kOutOfMemory);
    EXPECT_EQ(x, nullptr);
    EXPECT_EQ(y, nullptr);
  }
}

TEST(AlignedBuffer, IsZeroedOnAPageAndMoves) {
  auto made = AlignedBuffer::create(10000, "the test's bytes");
  ASSERT_TRUE(made.ok());
  AlignedBuffer buffer = std::move(*made);
  EXPECT_TRUE(on_multiple_of(buffer.data(), 4096));
  EXPECT_EQ(buffer.bytes(), 10000);
  for (int64_t i = 0; i < buffer.bytes(); ++i) ASSERT_EQ(buffer.data()[i], 0);
  AlignedBuffer other;
  other = std::move(buffer);
  other.data()[9999] = 1;
  EXPECT_EQ(other.data()[9999], 1);
}

TEST(AlignedBuffer, WhatTheSystemDoesNotHaveIsOutOfMemory) {
  const auto buffer = AlignedBuffer::create(int64_t{1} << 60, "far too much");
  ASSERT_FALSE(buffer.ok());
  EXPECT_EQ(buffer.status().code(), StatusCode::kOutOfMemory);
}

#if MIDGE_DCHECKS
TEST(ArenaDeathTest, APartThatDoesNotFitIsAMistake) {
  auto buffer = AlignedBuffer::create(4096, "one page");
  ASSERT_TRUE(buffer.ok());
  Arena arena(*buffer);
  EXPECT_DEATH(arena.take<float>(1025), "1025 of 4 bytes, 4096 are left");
  EXPECT_DEATH(arena.take<float>(std::numeric_limits<int64_t>::max()), "are left");
  EXPECT_DEATH(arena.take<float>(-1), "count >= 0: -1");
}

TEST(ArenaDeathTest, AnAlignmentThatCannotBeIsAMistake) {
  auto buffer = AlignedBuffer::create(4096, "one page");
  ASSERT_TRUE(buffer.ok());
  Arena arena(*buffer);
  EXPECT_DEATH(arena.take<float>(1, 48), "alignment.*: 48");
  EXPECT_DEATH(arena.take<float>(1, 8192), "alignment.*: 8192");
  EXPECT_DEATH(arena.take<float>(1, 2), "alignof");
}
#endif

#if defined(MIDGE_ASAN)
// `volatile` and the pointer's escape keep the compiler from judging the access itself.
uint8_t read(const void* at) { return *static_cast<const volatile uint8_t*>(at); }

TEST(ArenaDeathTest, TheSanitizerSeesBetweenTwoParts) {
  Parts parts;
  auto buffer = carve(parts);
  ASSERT_TRUE(buffer.ok());
  const char* report = "use-after-poison";
  EXPECT_DEATH(parts.x[3] = 1, report);
  EXPECT_DEATH(parts.codes[65] = 1, report);
  EXPECT_DEATH(parts.codes[-1] = 1, report);
  EXPECT_DEATH(read(parts.codes + 65 + 255), report);
  EXPECT_DEATH(std::memset(parts.x, 0, 4 * sizeof(float)), report);
  EXPECT_DEATH(read(parts.page + 1), report);
}

TEST(ArenaDeathTest, TheSanitizerSeesBesideTheBuffer) {
  auto made = AlignedBuffer::create(4099, "the test's bytes");
  ASSERT_TRUE(made.ok());
  uint8_t* data = made->data();
  EXPECT_EQ(read(data + 4098), 0);
  EXPECT_DEATH(read(data + 4099), "use-after-poison");
  EXPECT_DEATH(read(data + 4099 + 4096), "use-after-poison");
  EXPECT_DEATH(read(data - 1), "use-after-poison");
  *made = AlignedBuffer();
}

TEST(ArenaDeathTest, TheSanitizerSeesAUseAfterTheEnd) {
  const uint8_t* data = nullptr;
  {
    auto made = AlignedBuffer::create(4096, "the test's bytes");
    ASSERT_TRUE(made.ok());
    data = made->data();
  }
  EXPECT_DEATH(read(data), "heap-use-after-free");
}
#endif

}  // namespace
}  // namespace midge
