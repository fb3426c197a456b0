#include "engine/tokenizer/unicode_tables.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include "engine/tokenizer/unicode_data.h"

namespace midge {
namespace {

constexpr uint32_t kLast = 0x10FFFF;

bool is_surrogate(uint32_t point) { return point >= 0xD800 && point <= 0xDFFF; }

// In a build with utf8proc the functions of unicode_data.h are utf8proc's.
TEST(UnicodeTables, AreThoseOfUtf8proc) {
  EXPECT_STREQ(table_unicode_version(), unicode_data_version());
  std::vector<int32_t> ours;
  std::vector<int32_t> theirs;
  for (uint32_t point = 0; point <= kLast; ++point) {
    if (is_surrogate(point)) continue;
    ASSERT_EQ(table_group(point), category_group(point)) << std::hex << point;
    ASSERT_EQ(table_combining_class(point), combining_class(point)) << std::hex << point;
    ours.clear();
    theirs.clear();
    table_decompose(point, &ours);
    decompose(point, &theirs);
    ASSERT_EQ(ours, theirs) << std::hex << point;
    table_compose(&ours);
    compose(&theirs);
    ASSERT_EQ(ours, theirs) << std::hex << point;
  }
}

// Runs of what composes: bases, marks, Hangul, decomposed and in any order.
TEST(UnicodeTables, ComposeAsUtf8procDoes) {
  std::vector<uint32_t> pool = {'a',    'e',    'o',    0x1100, 0x1112, 0x1161, 0x1175, 0x11A7,
                                0x11A8, 0x11C2, 0xAC00, 0xAC01, 0xD7A3, 0x0DD9, 0x0DCF, 0x1D15F};
  std::vector<int32_t> parts;
  for (uint32_t point = 0xC0; point <= 0x30FF; ++point) {
    if (table_combining_class(point) != 0) pool.push_back(point);
    parts.clear();
    table_decompose(point, &parts);
    if (parts.size() > 1) pool.push_back(point);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 200'000; ++round) {
    std::vector<int32_t> ours;
    for (size_t i = random() % 6 + 1; i > 0; --i) {
      table_decompose(pool[random() % pool.size()], &ours);
    }
    // In the canonical order, which is what both expect.
    for (size_t i = 1; i < ours.size(); ++i) {
      for (size_t k = i; k > 0; --k) {
        const int before = table_combining_class(static_cast<uint32_t>(ours[k - 1]));
        const int after = table_combining_class(static_cast<uint32_t>(ours[k]));
        if (after == 0 || before <= after) break;
        std::swap(ours[k - 1], ours[k]);
      }
    }
    const std::vector<int32_t> before = ours;
    std::vector<int32_t> theirs = ours;
    table_compose(&ours);
    compose(&theirs);
    ASSERT_EQ(ours, theirs) << testing::PrintToString(before);
  }
}

}  // namespace
}  // namespace midge
