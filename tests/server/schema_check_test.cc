#include "server/schema/schema_check.h"

#include <gtest/gtest.h>

namespace midge::test {
namespace {

std::string pointer_of(const char* schema) {
  const auto fault = find_unsupported(schema);
  return fault.has_value() ? fault->pointer : "";
}

TEST(SchemaCheck, TakesWhatIsHeld) {
  for (const char* schema :
       {"{}", R"({"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],
          "additionalProperties":false})",
        R"({"$ref":"#/$defs/x","$defs":{"x":{"enum":[1,"a",null]}}})",
        R"({"type":"array","items":{"anyOf":[{"const":1},true]},"minItems":1,"maxItems":3})",
        R"({"type":"string","format":"date","minLength":1,"pattern":"^a+$"})",
        R"({"title":"t","description":"d","default":{"not":1},"examples":[{"if":1}]})"}) {
    EXPECT_EQ(pointer_of(schema), "") << schema;
  }
}

TEST(SchemaCheck, PointsAtWhatIsNot) {
  EXPECT_EQ(pointer_of(R"({"properties":{"a/b":{"not":{}}}})"), "/properties/a~1b/not");
  EXPECT_EQ(pointer_of(R"({"anyOf":[{},{"if":{}}]})"), "/anyOf/1/if");
  EXPECT_EQ(pointer_of(R"({"$defs":{"x":{"uniqueItems":true}}})"), "/$defs/x/uniqueItems");
  EXPECT_EQ(pointer_of(R"({"format":"regex"})"), "/format");
  EXPECT_EQ(pointer_of(R"({"type":"text"})"), "/type");
  EXPECT_EQ(pointer_of(R"({"x-guidance":{}})"), "/x-guidance");
  EXPECT_EQ(pointer_of(R"({"minLength":-1})"), "/minLength");
  EXPECT_EQ(pointer_of(R"({"maxItems":1000000000})"), "/maxItems");
  EXPECT_EQ(pointer_of(R"({"properties":[]})"), "/properties");
  EXPECT_EQ(pointer_of("[]"), "/");
  EXPECT_EQ(pointer_of("{"), "/");
}

// Nothing is fetched or opened for a schema.
TEST(SchemaCheck, ReferencesStayInside) {
  for (const char* target : {"http://a/b", "file:///etc/passwd", "other.json", "#name", ""}) {
    EXPECT_EQ(pointer_of((std::string(R"({"$ref":")") + target + "\"}").c_str()), "/$ref")
        << target;
  }
}

TEST(SchemaCheck, CountsSchemas) {
  std::string many = R"({"anyOf":[true)";
  for (size_t i = 0; i < kSchemasMax; ++i) many += ",true";
  EXPECT_TRUE(find_unsupported(many + "]}").has_value());
}

}  // namespace
}  // namespace midge::test
