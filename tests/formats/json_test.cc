#include "engine/formats/json.h"

#include <gtest/gtest.h>

#include "tests/harness/golden.h"

namespace midge {
namespace {

TEST(Json, ReadsTypedMembers) {
  auto document = JsonDocument::parse(
      "x.json", R"({"i":7,"f":1.5,"s":"t","b":true,"n":null,"a":[1],"o":{"i":-3}})");
  MIDGE_ASSERT_OK(document);
  // Views must survive a move of the document.
  const JsonDocument moved = std::move(*document);
  const JsonObject root = moved.root().value();
  EXPECT_EQ(*root.integer("i", 0, 10), 7);
  EXPECT_EQ(*root.number("i"), 7.0);
  EXPECT_EQ(*root.number("f"), 1.5);
  EXPECT_EQ(*root.string("s"), "t");
  EXPECT_EQ(*root.boolean("b"), true);
  EXPECT_FALSE(root.has("n"));
  EXPECT_FALSE(root.has("absent"));
  EXPECT_EQ(*root.integer_or("n", 0, 10, 4), 4);
  EXPECT_EQ(*root.object("o")->integer("i", -5, 5), -3);
}

TEST(Json, ErrorsNameFileKeyAndExpectation) {
  const auto document = JsonDocument::parse("x.json", R"({"i":7,"s":"t","f":1.5,"big":1e400})");
  if (document.ok()) {
    ADD_FAILURE() << "1e400 is not a double";
  }
  const auto good = JsonDocument::parse("x.json", R"({"i":7,"s":"t","f":1.5})");
  MIDGE_ASSERT_OK(good);
  const JsonObject root = good->root().value();
  EXPECT_EQ(root.integer("i", 8, 10).status().message(), "x.json: 'i' is 7, expected 8..10");
  EXPECT_EQ(root.integer("s", 0, 1).status().message(),
            "x.json: 's' is a string, expected an integer");
  EXPECT_EQ(root.integer("f", 0, 9).status().message(),
            "x.json: 'f' is a fraction, expected an integer");
  EXPECT_EQ(root.string("q").status().message(), "x.json: 'q' is missing, expected a string");
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const std::string_view text :
       {"", "{", "[1,", "{\"a\":}", "nonsense", "{\"a\":1}x", "\xff\xfe"}) {
    const auto document = JsonDocument::parse("bad.json", text);
    EXPECT_EQ(document.status().code(), StatusCode::kInvalidFile) << text;
  }
  std::string deep(1000, '[');
  deep += std::string(1000, ']');
  EXPECT_EQ(JsonDocument::parse("deep.json", deep).status().code(), StatusCode::kInvalidFile);
  const auto array = JsonDocument::parse("a.json", "[1]");
  MIDGE_ASSERT_OK(array);
  EXPECT_EQ(array->root().status().message(), "a.json: is an array, expected an object");
}

// Numbers of more than 19 digits take simdjson microseconds each.
TEST(Json, LongNumbersAreCounted) {
  const auto status_of = [](const std::string& number, size_t max) {
    JsonLimits limits;
    limits.long_numbers = max;
    return JsonDocument::parse("x.json", "[0, " + number + ", " + number + "]",
                               DuplicateKeys::kRefused, limits)
        .status();
  };
  // What simdjson's write_float counts: digits and a point, from the first digit that is not 0.
  // The offset is that of the first digit.
  for (const char* number :
       {"9999999999999999999.9e289", "12345678901234567890e1", "-1.2345678901234567891",
        "1.234567890123456789", "0.00012345678901234567891", "1234567890123456789.0E-300"}) {
    EXPECT_TRUE(status_of(number, 2).ok()) << number;
    const Status status = status_of(number, 1);
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile) << number;
    EXPECT_EQ(status.message(),
              format_string("x.json: the number at offset %zu has more than 19 digits, expected at "
                            "most 1 such numbers",
                            4 + std::string_view(number).size() + 2 + (number[0] == '-')))
        << number;
  }
  for (const char* number :
       {"12345678901234567890", "1.23456789012345678", "1234567890123456789e1", "0e10",
        "0.00000000000000000000000001", "0.0000000000000000000000000", "1e00000000000000000000001",
        R"("12345678901234567890.1")", R"("a\"12345678901234567890.1")",
        R"("a\\", "12345678901234567890.1")"}) {
    const Status status = status_of(number, 0);
    EXPECT_TRUE(status.ok()) << number << status.message();
  }
}

TEST(Json, LessMemoryIfAsked) {
  JsonLimits limits;
  limits.parsed_bytes = 100;
  const auto status = JsonDocument::parse("x.json", "[1,1,1,1]", DuplicateKeys::kRefused, limits);
  EXPECT_NE(status.status().message().find("up to 138 bytes when parsed, expected at most 100"),
            std::string::npos)
      << status.status().message();
}

}  // namespace
}  // namespace midge
