#include "engine/core/mapped_file.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

TEST(MappedFile, MapsAndCopies) {
  const test::TempDir dir;
  const std::string path = dir.write("file", "hello");
  for (const FileAccess access : {FileAccess::kMap, FileAccess::kCopy}) {
    auto file = MappedFile::open(path, access);
    MIDGE_ASSERT_OK(file);
    const MappedFile moved = std::move(*file);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(moved.data()), moved.size()), "hello");
    EXPECT_EQ(moved.path(), path);
  }
}

TEST(MappedFile, ACopySurvivesTruncation) {
  const test::TempDir dir;
  const std::string path = dir.write("file", std::string(100000, 'x'));
  auto file = MappedFile::open(path, FileAccess::kCopy);
  MIDGE_ASSERT_OK(file);
  dir.write("file", "");
  EXPECT_EQ(file->data()[99999], 'x');
}

TEST(MappedFile, BorrowedBytesStayTheCallers) {
  const std::vector<uint8_t> bytes = {1, 2, 3};
  {
    MappedFile file = MappedFile::borrow("name", bytes);
    EXPECT_EQ(file.data(), bytes.data());
    const MappedFile moved = std::move(file);
    EXPECT_EQ(moved.size(), 3u);
    EXPECT_EQ(moved.path(), "name");
    EXPECT_FALSE(moved.is_mapped());
  }
  EXPECT_EQ(bytes[2], 3);
}

TEST(MappedFile, FolderOfAPath) {
  EXPECT_EQ(folder_of("a/b/c"), "a/b");
  EXPECT_EQ(folder_of("a//b"), "a");
  EXPECT_EQ(folder_of("a/"), "a");
  EXPECT_EQ(folder_of("/a"), "/");
  EXPECT_EQ(folder_of("/"), "/");
  EXPECT_EQ(folder_of("a"), ".");
  EXPECT_EQ(folder_of(""), ".");
}

TEST(MappedFile, Errors) {
  const test::TempDir dir;
  const auto code = [](const std::string& path) { return MappedFile::open(path).status().code(); };
  EXPECT_EQ(code(dir.file("absent")), StatusCode::kNotFound);
  EXPECT_EQ(code(dir.path()), StatusCode::kIoError);
  EXPECT_EQ(code(dir.file("absent/below")), StatusCode::kNotFound);
  ASSERT_EQ(::mkfifo(dir.file("pipe").c_str(), 0600), 0);
  EXPECT_EQ(code(dir.file("pipe")), StatusCode::kIoError);
  const auto empty = MappedFile::open(dir.write("empty", ""));
  MIDGE_ASSERT_OK(empty);
  EXPECT_EQ(empty->size(), 0u);
  EXPECT_EQ(read_small_file(dir.write("text", "12345"), 4).status().code(),
            StatusCode::kInvalidFile);
  EXPECT_EQ(*read_small_file(dir.file("text"), 5), "12345");
}

}  // namespace
}  // namespace midge
