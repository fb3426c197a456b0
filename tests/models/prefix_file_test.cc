// Saved prefixes: what is read is what was written, and anything else is refused.
#include "engine/scheduler/prefix_file.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"
#include "tests/harness/prefix_files.h"
#include "tests/harness/temp_dir.h"
#include "tests/harness/test_data.h"

namespace midge {
namespace {

using test::PrefixExample;

Status status_of(const std::string& path, const PrefixExample& example) {
  return PrefixFile::open(path, example.model, example.pool->layout(), PrefixExample::config())
      .status();
}

TEST(PrefixFile, HoldsPagesOfEveryType) {
  for (const KvType type : {KvType::kF16, KvType::kF32, KvType::kInt8, KvType::kK8V4}) {
    for (const int64_t tokens : {1, 17, 64, 100, 128}) {
      SCOPED_TRACE(std::string(kv_type_name(type)) + " " + std::to_string(tokens));
      const test::TempDir dir;
      const PrefixExample example(type, tokens);
      const std::string path = dir.file("a.midge-kv");
      MIDGE_ASSERT_OK(example.save(path));
      const auto file =
          PrefixFile::open(path, example.model, example.pool->layout(), PrefixExample::config());
      MIDGE_ASSERT_OK(file);
      EXPECT_TRUE(std::ranges::equal(file->info().tokens, example.tokens));
      EXPECT_TRUE(std::ranges::equal(file->info().roles, example.roles));
      EXPECT_EQ(file->info().regime, RopeRegime::kLong);
      ASSERT_EQ(file->page_count(), static_cast<int64_t>(example.pages.size()));
      const KvLayout& layout = example.pool->layout();
      for (int64_t i = 0; i < file->page_count(); ++i) {
        std::vector<uint8_t> page(static_cast<size_t>(layout.page_bytes()));
        file->read_page(i, page.data());
        const uint8_t* given = example.pool->page(example.pages[static_cast<size_t>(i)]);
        layout.visit_used(
            std::min(layout.page_tokens, tokens - i * layout.page_tokens),
            [&](int64_t offset, int64_t used, int64_t) {
              EXPECT_EQ(
                  std::memcmp(page.data() + offset, given + offset, static_cast<size_t>(used)), 0);
            });
      }
    }
  }
}

// Kernels rely on that: a file whose checksum is right may still be forged.
TEST(PrefixFile, ScalesOfValuesAreNotNegative) {
  const test::TempDir dir;
  const PrefixExample example(KvType::kInt8, 40);
  const KvLayout& layout = example.pool->layout();
  const int64_t offset =
      layout.value_scales_offset(1, 0) + 17 * static_cast<int64_t>(sizeof(float));
  const float forged = -2.5f;
  std::memcpy(example.pool->page(example.pages[0]) + offset, &forged, sizeof(forged));
  const std::string path = dir.file("a.midge-kv");
  MIDGE_ASSERT_OK(example.save(path));
  const auto file = PrefixFile::open(path, example.model, layout, PrefixExample::config());
  MIDGE_ASSERT_OK(file);
  std::vector<uint8_t> page(static_cast<size_t>(layout.page_bytes()));
  file->read_page(0, page.data());
  float scale = 0;
  std::memcpy(&scale, page.data() + offset, sizeof(scale));
  EXPECT_EQ(scale, 2.5f);
}

// With an MTP layer's keys and values or without, read by pools with room for them or without.
TEST(PrefixFile, IsReadWithAndWithoutTheMtpLayer) {
  for (const bool saved : {false, true}) {
    for (const bool wanted : {false, true}) {
      SCOPED_TRACE(testing::Message() << saved << wanted);
      const test::TempDir dir;
      PrefixExample from(KvType::kInt8, 150, saved);
      if (saved) {
        from.mtp.begin = 64;
        from.mtp.length = 147;
      }
      const std::string path = dir.file("a.midge-kv");
      MIDGE_ASSERT_OK(from.save(path));
      const PrefixExample to(KvType::kInt8, 150, wanted);
      const KvLayout& layout = to.pool->layout();
      const auto file = PrefixFile::open(path, to.model, layout, PrefixExample::config());
      MIDGE_ASSERT_OK(file);
      EXPECT_EQ(file->info().mtp.begin, saved && wanted ? 64 : 0);
      EXPECT_EQ(file->info().mtp.length, saved && wanted ? 147 : 0);
      KvLayout both = layout;
      both.layers = saved && wanted ? 3 : 2;
      for (int64_t i = 0; i < file->page_count(); ++i) {
        std::vector<uint8_t> page(static_cast<size_t>(layout.page_bytes()));
        file->read_page(i, page.data());
        const uint8_t* given = from.pool->page(from.pages[static_cast<size_t>(i)]);
        both.visit_used(
            std::min<int64_t>(64, 150 - 64 * i), [&](int64_t offset, int64_t used, int64_t) {
              EXPECT_EQ(
                  std::memcmp(page.data() + offset, given + offset, static_cast<size_t>(used)), 0);
            });
        EXPECT_TRUE(std::all_of(page.begin() + both.page_bytes(), page.end(),
                                [](uint8_t byte) { return byte == 0; }));
      }
    }
  }
}

TEST(PrefixFile, RefusesPositionsThatTheMtpLayerCannotHaveRead) {
  const test::TempDir dir;
  const std::string path = dir.file("a.midge-kv");
  struct Range {
    int64_t begin;
    int64_t length;
    bool with_mtp;
  };
  for (const Range& range : {Range{1, 70, true}, Range{64, 71, true}, Range{64, 10, true},
                             Range{-64, 70, true}, Range{0, -1, true}, Range{0, 70, false}}) {
    PrefixExample example(KvType::kF16, 70, range.with_mtp);
    example.mtp.begin = range.begin;
    example.mtp.length = range.length;
    MIDGE_ASSERT_OK(example.save(path));
    const Status status = status_of(path, example);
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile) << range.begin << ' ' << range.length;
  }
}

TEST(PrefixFile, RefusesEveryChangedByte) {
  const test::TempDir dir;
  const PrefixExample example(KvType::kInt8, 70);
  const std::string path = dir.file("a.midge-kv");
  MIDGE_ASSERT_OK(example.save(path));
  const std::string whole = test::read_bytes(path);
  for (size_t at = 0; at < whole.size(); at += at < 256 ? 1 : 97) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const Status status = status_of(dir.write("b", changed), example);
    EXPECT_TRUE(status.code() == StatusCode::kInvalidFile ||
                status.code() == StatusCode::kUnsupported)
        << at << ": " << status.message();
  }
  for (size_t size = 0; size < whole.size(); size += size < 256 ? 1 : 997) {
    EXPECT_EQ(status_of(dir.write("b", whole.substr(0, size)), example).code(),
              StatusCode::kInvalidFile)
        << size;
  }
  EXPECT_EQ(status_of(dir.write("b", whole + "x"), example).code(), StatusCode::kInvalidFile);
  EXPECT_EQ(status_of(dir.file("none"), example).code(), StatusCode::kNotFound);
}

// With a right checksum.
TEST(PrefixFile, RefusesWhatDoesNotBelong) {
  const test::TempDir dir;
  const PrefixExample example(KvType::kInt8, 70);
  const std::string path = dir.file("a.midge-kv");
  MIDGE_ASSERT_OK(example.save(path));
  PrefixExample other(KvType::kInt8, 70);
  other.model = {7, 8};
  const Status model = status_of(path, other);
  EXPECT_EQ(model.code(), StatusCode::kModelMismatch);
  EXPECT_NE(model.message().find("a.midge-kv"), std::string::npos);
  const PrefixExample halves(KvType::kF16, 70);
  EXPECT_EQ(status_of(path, halves).code(), StatusCode::kModelMismatch);
  PrefixExample foreign(KvType::kInt8, 70);
  foreign.tokens[3] = PrefixExample::kVocabSize;
  MIDGE_ASSERT_OK(foreign.save(path));
  EXPECT_EQ(status_of(path, foreign).code(), StatusCode::kInvalidFile);
  // A page less than the tokens need.
  PrefixExample fewer(KvType::kInt8, 70);
  fewer.pages.pop_back();
  MIDGE_ASSERT_OK(fewer.save(path));
  EXPECT_EQ(status_of(path, fewer).code(), StatusCode::kInvalidFile);
  std::string newer = test::read_bytes(path);
  newer[8] = 2;
  const Status version = status_of(dir.write("b", test::with_right_prefix_hash(newer)), example);
  EXPECT_EQ(version.code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace midge
