// Answers that are held to a schema, however unlikely the model finds that.
#include "server/schema/grammar.h"

#include "engine/formats/json.h"
#include "tests/server/service_harness.h"

namespace midge::test {
namespace {

class GrammarTest : public ServiceFixture {
 protected:
  void SetUp() override {
    if (!has_grammars()) GTEST_SKIP() << "built without llguidance";
    serve();
  }
  // The text of an answer that is held to `schema`.
  std::string answer(const std::string& schema, uint64_t seed, std::string* finish) {
    const std::string got = body_of(
        post("/v1/chat/completions",
             R"({"messages":[{"role":"user","content":"Tell me."}],"max_tokens":300,"seed":)" +
                 std::to_string(seed) +
                 R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)" +
                 schema + "}}}"));
    const auto document = JsonDocument::parse("answer", got);
    if (!document.ok()) return got;
    const simdjson::dom::object root = document->root()->members();
    std::string_view text;
    std::string_view reason;
    if (root.at_pointer("/choices/0/message/content").get(text) != simdjson::SUCCESS) return got;
    if (root.at_pointer("/choices/0/finish_reason").get(reason) == simdjson::SUCCESS) {
      *finish = reason;
    }
    return std::string(text);
  }
};

TEST_F(GrammarTest, DrawnAnswersHoldTheSchema) {
  const std::string schema =
      R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},
          "age":{"type":"integer","minimum":0,"maximum":120},"kind":{"enum":["cat","dog"]},
          "tags":{"type":"array","items":{"type":"boolean"},"maxItems":3}},
          "required":["name","age","kind","tags"],"additionalProperties":false})";
  for (uint64_t seed = 0; seed < 12; ++seed) {
    std::string finish;
    const std::string text = answer(schema, seed, &finish);
    EXPECT_EQ(finish, "stop") << text;
    const auto document = JsonDocument::parse("text", text);
    ASSERT_TRUE(document.ok()) << text;
    const JsonObject object = *document->root();
    EXPECT_TRUE(object.string("name").ok()) << text;
    EXPECT_LE(object.string("name")->size(), 48u);
    EXPECT_TRUE(object.integer("age", 0, 120).ok()) << text;
    const auto kind = object.string("kind");
    ASSERT_TRUE(kind.ok());
    EXPECT_TRUE(*kind == "cat" || *kind == "dog");
    ASSERT_TRUE(object.array("tags").ok());
    EXPECT_LE(object.array("tags")->size(), 3u);
    EXPECT_EQ(object.members().size(), 4u);
  }
}

TEST_F(GrammarTest, ReferencesAreFollowed) {
  std::string finish;
  const std::string text = answer(
      R"({"$ref":"#/$defs/p","$defs":{"p":{"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},
          "required":["x"],"additionalProperties":false},"n":{"const":42}}})",
      1, &finish);
  const auto document = JsonDocument::parse("text", text);
  ASSERT_TRUE(document.ok()) << text;
  EXPECT_TRUE(document->root()->integer("x", 42, 42).ok()) << text;
}

TEST_F(GrammarTest, SchemasThatCannotHoldAreRefused) {
  std::string finish;
  const std::string text = answer(R"({"type":"object","properties":{"a":{"not":{}}}})", 1, &finish);
  EXPECT_NE(text.find("/properties/a/not"), std::string::npos) << text;
}

TEST_F(GrammarTest, CallsAreMadeAsTheTemplateWritesThem) {
  const std::string got =
      post("/v1/chat/completions",
           R"({"messages":[{"role":"user","content":"Weather?"}],"max_tokens":120,"seed":3,"tools":[
          {"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
          "properties":{"city":{"enum":["Oslo","Rome"]}},"required":["city"],
          "additionalProperties":false}}}],
          "tool_choice":{"type":"function","function":{"name":"get_weather"}}})");
  EXPECT_EQ(status_of(got), 200) << got;
  EXPECT_NE(got.find(R"("finish_reason":"tool_calls")"), std::string::npos) << got;
  EXPECT_NE(got.find(R"("name":"get_weather")"), std::string::npos) << got;
}

}  // namespace
}  // namespace midge::test
