#include "engine/core/latest.h"

#include <array>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace midge {
namespace {

TEST(Latest, HoldsTheValueThatWasPutLast) {
  Latest<int> latest;
  EXPECT_EQ(latest.get(), 0);
  latest.put(1);
  EXPECT_EQ(latest.get(), 1);
  EXPECT_EQ(latest.get(), 1);
  latest.put(2);
  latest.put(3);
  EXPECT_EQ(latest.get(), 3);
}

// Readers see whole values, and never an older one than before.
TEST(Latest, ValuesAreWholeAndInOrder) {
  constexpr int kValues = 20000;
  using Wide = std::array<int, 64>;
  Latest<Wide> latest;
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&latest] {
      int seen = 0;
      while (seen < kValues) {
        const Wide value = latest.get();
        for (const int part : value) ASSERT_EQ(part, value[0]);
        ASSERT_GE(value[0], seen);
        seen = value[0];
      }
    });
  }
  for (int i = 1; i <= kValues; ++i) {
    Wide value;
    value.fill(i);
    latest.put(value);
  }
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace midge
