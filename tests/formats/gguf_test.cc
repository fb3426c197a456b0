#include "engine/formats/gguf/gguf.h"

#include <gtest/gtest.h>

#include "engine/formats/weight_source.h"
#include "tests/harness/gguf_writer.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::GgufWriter;

Status open(const std::string& bytes) {
  const test::TempDir dir;
  return WeightSource::open(dir.write("x.gguf", bytes), FileAccess::kMap).status();
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  GgufWriter writer;
  writer.header(3, 0, 10);
  writer.key("u8", GgufType::kU8).number<uint8_t>(200);
  writer.key("i16", GgufType::kI16).number<int16_t>(-5);
  writer.key("u64", GgufType::kU64).number<uint64_t>(1u << 30);
  writer.key("f32", GgufType::kF32).number(1.5f);
  writer.key("f64", GgufType::kF64).number(2.5);
  writer.key("yes", GgufType::kBool).number<uint8_t>(1);
  writer.key("text", GgufType::kString).text("hello");
  writer.key("strings", GgufType::kArray).number<uint32_t>(8).number<uint64_t>(2);
  writer.text("a").text("");
  writer.key("ints", GgufType::kArray).number<uint32_t>(5).number<uint64_t>(2);
  writer.number<int32_t>(-1).number<int32_t>(7);
  writer.key("floats", GgufType::kArray).number<uint32_t>(6).number<uint64_t>(1).number(0.5f);
  const test::TempDir dir;
  const auto file = GgufFile::open(dir.write("x.gguf", writer.bytes()));
  MIDGE_ASSERT_OK(file);
  EXPECT_EQ(*file->integer("u8", 0, 255), 200);
  EXPECT_EQ(*file->integer("i16", -10, 10), -5);
  EXPECT_EQ(*file->integer("u64", 0, INT64_MAX), 1 << 30);
  EXPECT_EQ(*file->number("f32"), 1.5);
  EXPECT_EQ(*file->number("f64"), 2.5);
  EXPECT_EQ(*file->boolean("yes"), true);
  EXPECT_EQ(*file->string("text", 5), "hello");
  EXPECT_NE(file->string("text", 4).status().message().find("has 5 bytes, expected at most 4"),
            std::string::npos);
  EXPECT_EQ(*file->string_array("strings", 1), (std::vector<std::string_view>{"a", ""}));
  EXPECT_EQ(*file->i32_array("ints"), (std::vector<int32_t>{-1, 7}));
  EXPECT_EQ(*file->f32_array("floats"), (std::vector<float>{0.5f}));
  EXPECT_EQ(*file->integer_or("absent", 0, 9, 3), 3);
  EXPECT_NE(file->integer("text", 0, 9).status().message().find("is string, expected an integer"),
            std::string::npos);
  EXPECT_NE(file->integer("u8", 0, 9).status().message().find("is 200, expected 0..9"),
            std::string::npos);
  EXPECT_NE(file->string("absent", 5).status().message().find("is missing"), std::string::npos);
}

TEST(Gguf, TensorsAreInRowMajorShapes) {
  GgufWriter writer;
  writer.header(2, 2, 0);
  writer.tensor("matrix", {32, 3}, 2, 0).tensor("vector", {2}, 0, 64);
  writer.pad(32).raw(std::string(64, 'q')).raw(std::string(8, 'v'));
  const test::TempDir dir;
  const auto source = WeightSource::open(dir.write("x.gguf", writer.bytes()), FileAccess::kMap);
  MIDGE_ASSERT_OK(source);
  const SourceTensor* matrix = (*source)->find("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (std::vector<int64_t>{3, 32}));
  EXPECT_EQ(matrix->type_name, "Q4_0");
  EXPECT_EQ(matrix->bytes, 54u);
  EXPECT_EQ((*source)->find("vector")->data[0], 'v');
}

TEST(Gguf, RefusesDamage) {
  const auto with_tensor = [](std::vector<uint64_t> ne, uint32_t type, uint64_t offset) {
    GgufWriter writer;
    writer.header(3, 1, 0).tensor("t", std::move(ne), type, offset).pad(32);
    return writer.raw(std::string(64, 'd')).bytes();
  };
  ASSERT_TRUE(open(with_tensor({16}, 0, 0)).ok());
  const auto invalid = StatusCode::kInvalidFile;
  struct Bad {
    std::string bytes;
    StatusCode code;
    const char* expected;
  };
  const uint64_t huge = uint64_t{1} << 63;
  const std::vector<Bad> bad = {
      {"", StatusCode::kUnsupported, "no GGUF file and no directory"},
      {"GGUX1234", StatusCode::kUnsupported, "no GGUF file and no directory"},
      {"GGUF", invalid, "needs 4 bytes"},
      {GgufWriter().header(1, 0, 0).bytes(), StatusCode::kUnsupported, "GGUF version 1"},
      {GgufWriter().header(0x03000000, 0, 0).bytes(), StatusCode::kUnsupported, "big-endian"},
      {GgufWriter().header(3, huge, 0).bytes(), invalid, "expected at most"},
      {GgufWriter().header(3, 0, huge).bytes(), invalid, "expected at most"},
      {GgufWriter().header(3, 0, 1).number<uint64_t>(UINT64_MAX - 3).bytes(), invalid, "key of"},
      {GgufWriter().header(3, 0, 1).text("k").number<uint32_t>(13).bytes(), invalid,
       "expected 0..12"},
      {GgufWriter()
           .header(3, 0, 1)
           .key("k", GgufType::kArray)
           .number<uint32_t>(4)
           .number<uint64_t>(huge / 2 + 1)
           .bytes(),
       invalid, "64 bits"},
      {GgufWriter()
           .header(3, 0, 1)
           .key("k", GgufType::kArray)
           .number<uint32_t>(8)
           .number<uint64_t>(1000)
           .bytes(),
       invalid, "array of 1000 strings"},
      {GgufWriter()
           .header(3, 0, 1)
           .key("k", GgufType::kArray)
           .number<uint32_t>(9)
           .number<uint64_t>(1)
           .bytes(),
       invalid, "nested array"},
      {GgufWriter()
           .header(3, 0, 2)
           .key("k", GgufType::kU8)
           .number<uint8_t>(1)
           .key("k", GgufType::kU8)
           .number<uint8_t>(1)
           .bytes(),
       invalid, "twice"},
      {GgufWriter()
           .header(3, 0, 1)
           .key("general.alignment", GgufType::kU32)
           .number<uint32_t>(0)
           .bytes(),
       invalid, "expected 1.."},
      {GgufWriter()
           .header(3, 0, 1)
           .key("general.alignment", GgufType::kU32)
           .number<uint32_t>(24)
           .bytes(),
       invalid, "power of two"},
      {with_tensor({}, 0, 0), invalid, "0 dimensions"},
      {with_tensor({1, 1, 1, 1, 1}, 0, 0), invalid, "5 dimensions"},
      {with_tensor({0}, 0, 0), invalid, "expected at least 1"},
      {with_tensor({huge, 4}, 0, 0), invalid, "expected at least 1"},
      {with_tensor({16}, 77, 0), invalid, "unknown type 77"},
      {with_tensor({16}, 0, 1), invalid, "multiple of 32"},
      {with_tensor({16}, 0, uint64_t{1} << 62), invalid, "inside of the file"},
      {with_tensor({17}, 0, 0), invalid, "does not fit in the file"},
      {with_tensor({16}, 0, 32), invalid, "does not fit in the file"},
      {with_tensor({33}, 2, 0), invalid, "multiple of 32"},
      {GgufWriter()
           .header(3, 2, 0)
           .tensor("a", {16}, 0, 0)
           .tensor("a", {16}, 0, 64)
           .pad(32)
           .raw(std::string(128, 'd'))
           .bytes(),
       invalid, "twice"},
      {GgufWriter()
           .header(3, 2, 0)
           .tensor("a", {16}, 0, 0)
           .tensor("b", {16}, 0, 32)
           .pad(32)
           .raw(std::string(128, 'd'))
           .bytes(),
       invalid, "overlap"},
  };
  for (const Bad& b : bad) {
    const Status status = open(b.bytes);
    EXPECT_EQ(status.code(), b.code) << b.expected << ": " << status.message();
    EXPECT_NE(status.message().find(b.expected), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("x.gguf"), std::string::npos) << status.message();
  }
}

TEST(Gguf, EveryTruncationIsRefused) {
  const std::string bytes = test::read_bytes(test::data_path("golden/gguf/phi4-mini-q4_0-v2.gguf"));
  ASSERT_GT(bytes.size(), 1000u);
  // Every length through the header, then every 97th.
  for (size_t length = 0; length < bytes.size(); length += length < 4000 ? 1 : 97) {
    const StatusCode code = open(bytes.substr(0, length)).code();
    EXPECT_TRUE(code == StatusCode::kInvalidFile ||
                (length < 4 && code == StatusCode::kUnsupported))
        << length;
  }
}

}  // namespace
}  // namespace midge
