#include "engine/formats/safetensors/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

#include "tests/harness/checkpoint.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

// A file from the text of its header and its buffer.
std::string file_of(const std::string& header, const std::string& buffer) {
  std::string bytes(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + buffer;
}

Status open(const std::string& bytes) {
  const test::TempDir dir;
  return SafetensorsFile::open(dir.write("x.safetensors", bytes)).status();
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, ReadsTensorsInPlace) {
  const test::TempDir dir;
  test::SafetensorsWriter writer;
  writer.add("b", "BF16", {2, 3}, std::string(12, 'b'));
  writer.add("scalar", "F32", {}, std::string(4, 's'));
  writer.add("none", "F32", {0, 5}, "");
  writer.add("a", "U8", {3}, "abc");
  const auto file = SafetensorsFile::open(dir.write("x.safetensors", writer.bytes()));
  MIDGE_ASSERT_OK(file);
  ASSERT_EQ(file->tensors().size(), 4u);
  const SafetensorsTensor* b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b->bytes, 12u);
  const SafetensorsTensor* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(std::memcmp(file->data(*a), "abc", 3), 0);
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(Safetensors, MetadataIsSkipped) {
  EXPECT_TRUE(open(file_of("{\"__metadata__\":{\"format\":\"pt\"},\"a\":" +
                               entry("U8", "[1]", "[0,1]") + "}",
                           "x"))
                  .ok());
}

TEST(Safetensors, RefusesDamage) {
  const std::string good = "{\"a\":" + entry("F32", "[2]", "[0,8]") + "}";
  ASSERT_TRUE(open(file_of(good, "12345678")).ok());
  const std::string overflow = "[4294967296,4294967296,4294967296]";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "8 of a safetensors header length"},
      {"1234567", "8 of a safetensors header length"},
      {std::string(8, '\xff') + "{}", "header of"},
      {file_of(good, "12345678").substr(0, 30), "header of"},
      {file_of("[]", ""), "does not start with"},
      {file_of("{", ""), "does not start with"},
      {file_of("{\"a\":1", "x"), "not valid JSON"},
      {file_of("{\"a\":1}", ""), "is an integer, expected an object"},
      {file_of(good, "1234567"), "inside of the buffer"},
      {file_of(good, "123456789"), "the tensors end at"},
      {file_of("{\"a\":" + entry("F32", "[3]", "[0,8]") + "}", "12345678"), "its shape and dtype"},
      {file_of("{\"a\":" + entry("F99", "[2]", "[0,8]") + "}", "12345678"), "unknown dtype"},
      {file_of("{\"a\":" + entry("U8", overflow, "[0,8]") + "}", "12345678"), "64 bits"},
      {file_of("{\"a\":" + entry("U8", "[8]", "[8,0]") + "}", "12345678"), "data_offsets 8..0"},
      {file_of("{\"a\":" + entry("U8", "[-8]", "[0,8]") + "}", "12345678"), "unsigned"},
      {file_of("{\"a\":" + entry("U8", "[8.0]", "[0,8]") + "}", "12345678"), "unsigned"},
      {file_of("{\"a\":" + entry("U8", "[8]", "[0]") + "}", "12345678"), "expected 2"},
      {file_of("{\"a\":" + entry("U8", "[8]", "[0,8,9]") + "}", "12345678"), "more than 2"},
      {file_of("{\"a\":" + entry("U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]") + "}", "12345678"),
       "more than 8"},
      {file_of(
           "{\"a\":" + entry("U8", "[4]", "[0,4]") + ",\"b\":" + entry("U8", "[6]", "[2,8]") + "}",
           "12345678"),
       "without holes or overlaps"},
      {file_of(
           "{\"a\":" + entry("U8", "[2]", "[0,2]") + ",\"b\":" + entry("U8", "[4]", "[4,8]") + "}",
           "12345678"),
       "without holes or overlaps"},
      {file_of(
           "{\"a\":" + entry("U8", "[4]", "[0,4]") + ",\"a\":" + entry("U8", "[4]", "[4,8]") + "}",
           "12345678"),
       "twice"},
      {file_of("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
               "12345678"),
       "twice"},
      {file_of("{\"a\":{\"shape\":[8],\"data_offsets\":[0,8]}}", "12345678"), "'dtype' is missing"},
  };
  for (const auto& [bytes, expected] : bad) {
    const Status status = open(bytes);
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile) << expected;
    EXPECT_NE(status.message().find(expected), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("x.safetensors"), std::string::npos) << status.message();
    EXPECT_EQ(status.message().find('\n'), std::string::npos) << status.message();
  }
}

TEST(Safetensors, EveryTruncationIsRefused) {
  test::SafetensorsWriter writer;
  writer.add("first", "F32", {2, 2}, std::string(16, '1'));
  writer.add("second", "BF16", {3}, std::string(6, '2'));
  const std::string bytes = writer.bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(open(bytes.substr(0, length)).code(), StatusCode::kInvalidFile) << length;
  }
}

}  // namespace
}  // namespace midge
