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

}  // namespace
}  // namespace midge
