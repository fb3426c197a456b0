// Hostile safetensors files, one test for each item of docs/hostile-input.md.
#include <cstring>

#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"

namespace midge {
namespace {

using test::expect_refused;
using test::TempDir;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
using Parts = std::initializer_list<std::string_view>;

std::string with_header(const std::string& header, const std::string& buffer = "") {
  std::string file(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  return file + header + buffer;
}

std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "U8") {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

// A file with the tensor 'a' and a buffer of 8 bytes.
std::string with_a(const std::string& value) {
  return with_header("{\"a\":" + value + "}", "12345678");
}

void refuse(const std::string& bytes, Parts parts) {
  const TempDir dir;
  const std::string path = dir.write("x.safetensors", bytes);
  expect_refused([&] { return SafetensorsFile::open(path).status(); }, bytes.size(), kInvalid,
                 "x.safetensors: ", parts);
}

TEST(HostileSafetensors, HeaderLongerThanTheFile) {
  std::string bytes = with_header("{}");
  bytes[0] = 3;
  refuse(bytes, {"header of 3 bytes", "expected at most 2"});
  std::memset(bytes.data(), 0xFF, 8);
  refuse(bytes, {"header of 18446744073709551615 bytes", "expected at most 2"});
}

TEST(HostileSafetensors, HeaderBeyondTheLimit) {
  const std::string bytes = with_header(std::string((16 << 20) + 1, ' '));
  refuse(bytes, {"header of 16777217 bytes", "expected at most 16777216"});
}

TEST(HostileSafetensors, TinyHeader) {
  refuse("", {"0 bytes, expected at least the 8"});
  refuse(with_header(""), {"does not start with '{'"});
  refuse(with_header("{"), {"does not start with '{'"});
}

TEST(HostileSafetensors, HeaderThatIsNoObject) {
  refuse(with_header("[1]"), {"does not start with '{'"});
  refuse(with_header(" {}"), {"does not start with '{'"});
}

TEST(HostileSafetensors, DeepNesting) {
  std::string header = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) header += '[';
  refuse(with_header(header), {"not valid JSON"});
}

TEST(HostileSafetensors, MillionsOfValues) {
  std::string header = "{\"a\":[1";
  for (int i = 0; i < 8'000'000; ++i) header += ",1";
  refuse(with_header(header + "]}"), {"JSON that takes up to", "expected at most 58720256"});
}

// simdjson takes microseconds for each; the format has none.
TEST(HostileSafetensors, NumbersOfManyDigits) {
  std::string header = "{\"__metadata__\":[0";
  while (header.size() < (16 << 20) - 100) header += ",9999999999999999999.9e289";
  refuse(with_header(header + "]}"),
         {"the number at offset 19 has more than 19 digits", "expected at most 0 such numbers"});
}

TEST(HostileSafetensors, HugeNumbers) {
  refuse(with_a(entry("[1e400]", "[0,8]")), {"not valid JSON", "number"});
  refuse(with_a(entry("[-8]", "[0,8]")),
         {"tensor 'a'", "shape holds an integer", "expected unsigned integers"});
  refuse(with_a(entry("[8.0]", "[0,8]")),
         {"tensor 'a'", "shape holds a fraction", "expected unsigned integers"});
  refuse(with_a(entry("[18446744073709551616]", "[0,8]")), {"not valid JSON"});
  refuse(with_a(entry("[8]", "[0,9007199254740993]")),
         {"tensor 'a'", "0..9007199254740993", "the buffer of 8 bytes"});
}

TEST(HostileSafetensors, DuplicateTensorNames) {
  refuse(with_header("{\"a\":" + entry("[4]", "[0,4]") + ",\"a\":" + entry("[4]", "[4,8]") + "}",
                     "12345678"),
         {"key 'a' is there twice"});
}

TEST(HostileSafetensors, DuplicateKeysInAnEntry) {
  refuse(with_a("{\"dtype\":\"U8\",\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,8]}"),
         {"key 'dtype' is there twice in 'a'"});
}

TEST(HostileSafetensors, NamesMadeToCollide) {
  std::string header = "{";
  for (const std::string& key : test::colliding_keys(40'000)) {
    header += "\"" + key + "\":" + entry("[0]", "[0,0]") + ",";
  }
  refuse(with_header(header + "\"a\":1}"), {"tensor 'a' is an integer, expected an object"});
}

TEST(HostileSafetensors, KeysOfAnEntryMadeToCollide) {
  std::string value = "{";
  for (const std::string& key : test::colliding_keys(40'000)) value += "\"" + key + "\":1,";
  refuse(with_a(value + "\"dtype\":\"U8\"}"), {"'shape' is missing"});
}

TEST(HostileSafetensors, NameWithControlCharacters) {
  refuse(with_header("{\"\\u001b[2J\\n\":" + entry("[9]", "[0,8]") + "}", "12345678"),
         {"tensor '\\x1b[2J\\x0a'", "8 bytes", "take 9"});
  refuse(with_header("{\"\\u009b2J\\u202e\":" + entry("[9]", "[0,8]") + "}", "12345678"),
         {"tensor '\\u009b2J\\u202e'", "8 bytes", "take 9"});
}

TEST(HostileSafetensors, NameOfTenMegabytes) {
  refuse(with_header("{\"" + std::string(10 << 20, 'n') + "\":" + entry("[8]", "[0,8]") + "}",
                     "12345678"),
         {"tensor name 'nnn", "longer than 1024 bytes"});
}

TEST(HostileSafetensors, ThousandsOfDimensions) {
  std::string shape = "[1";
  for (int i = 0; i < 5000; ++i) shape += ",1";
  refuse(with_a(entry(shape + "]", "[0,8]")), {"tensor 'a'", "shape has more than 8 entries"});
}

TEST(HostileSafetensors, ProductBeyond64Bits) {
  refuse(with_a(entry("[4294967296,4294967296,4294967296]", "[0,8]")),
         {"tensor 'a'", "product", "does not fit in 64 bits"});
}

TEST(HostileSafetensors, ZeroTimesHuge) {
  // Nothing times something is nothing, which must not hide a dimension beyond 63 bits.
  refuse(with_a(entry("[0,18446744073709551615]", "[0,0]")),
         {"tensor 'a'", "dimension 18446744073709551615", "expected at most 9223372036854775807"});
  refuse(with_a(entry("[0,4294967296]", "[0,8]")), {"tensor 'a'", "8 bytes", "take 0"});
}

TEST(HostileSafetensors, ReversedOffsets) {
  refuse(with_a(entry("[8]", "[8,0]")), {"tensor 'a'", "data_offsets 8..0", "8 bytes"});
}

TEST(HostileSafetensors, OffsetsBeyondTheEnd) {
  refuse(with_a(entry("[9]", "[0,9]")), {"tensor 'a'", "data_offsets 0..9", "buffer of 8 bytes"});
}

TEST(HostileSafetensors, Overlap) {
  // Each tensor claims the whole buffer: the file would be worth any amount of weights.
  std::string header = "{\"t0\":" + entry("[8]", "[0,8]");
  for (int i = 1; i < 10'000; ++i) {
    header += ",\"t" + std::to_string(i) + "\":" + entry("[8]", "[0,8]");
  }
  refuse(with_header(header + "}", "12345678"),
         {"tensor 't1'", "begins at offset 0, expected 8", "without holes or overlaps"});
}

TEST(HostileSafetensors, Holes) {
  refuse(with_a(entry("[4]", "[4,8]")),
         {"tensor 'a'", "begins at offset 4, expected 0", "without holes"});
  refuse(with_a(entry("[4]", "[0,4]")), {"the tensors end at offset", "the file has"});
}

TEST(HostileSafetensors, UnknownDtype) {
  refuse(with_a(entry("[8]", "[0,8]", "Q3")), {"tensor 'a'", "unknown dtype 'Q3'"});
}

TEST(HostileSafetensors, ShapeAgainstTheConfig) {
  const TempDir dir;
  test::write_checkpoint(dir, {});
  test::CheckpointShape other;
  other.vocab = 51;
  dir.write("config.json", test::checkpoint_config(other));
  expect_refused(
      [&] { return open_model(dir.path()).status(); }, 1 << 20, StatusCode::kModelMismatch,
      "model.safetensors: ", {"'model.embed_tokens.weight' is [50, 40]", "expected [51, 40]"});
}

TEST(HostileSafetensors, TooManyTensors) {
  std::string header = "{";
  for (int i = 0; i <= 65536; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("[0]", "[0,0]");
  }
  refuse(with_header(header + "}"), {"more than 65536 tensors"});
}

}  // namespace
}  // namespace midge
