#include "engine/chat/chat_json.h"
#include "engine/chat/template_json.h"

#include <gtest/gtest.h>

#include "engine/formats/json.h"

namespace midge {
namespace {

// The text of json.dumps(json.loads(text), ensure_ascii=False).
std::string written(const std::string& text) {
  const auto document = JsonDocument::parse("test", "[" + text + "]", DuplicateKeys::kAllowed);
  EXPECT_TRUE(document.ok()) << document.status().message();
  return document.ok() ? template_json(document->root_array()->at(0).value()) : "";
}

// Expected values are Python 3.11's.
TEST(ChatJson, WritesLikePython) {
  EXPECT_EQ(written(R"({"b":[1,true,null,{}],"a":{"x":[]}})"),
            R"({"b": [1, true, null, {}], "a": {"x": []}})");
  EXPECT_EQ(written(R"("\u00e9\ud83d\ude00\/<&'\"\\\n\r\t\b\f\u0001\u007f")"),
            "\"é😀/<&'\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f\"");
  EXPECT_EQ(written(R"({"a":1,"b":2,"a":3})"), R"({"a": 3, "b": 2})");
  EXPECT_EQ(written("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(written("18446744073709551615"), "18446744073709551615");
  const std::pair<const char*, const char*> floats[] = {
      {"1.0", "1.0"},
      {"-0.0", "-0.0"},
      {"1E5", "100000.0"},
      {"0.1", "0.1"},
      {"1e-4", "0.0001"},
      {"0.00001", "1e-05"},
      {"1e15", "1000000000000000.0"},
      {"9999999999999998.0", "9999999999999998.0"},
      {"1e16", "1e+16"},
      {"1.5e300", "1.5e+300"},
      {"5e-324", "5e-324"},
      {"123456789.125", "123456789.125"},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
  };
  for (const auto& [text, expected] : floats) EXPECT_EQ(written(text), expected);
}

TEST(ChatJson, ReadsTools) {
  const auto tools = parse_chat_tools(
      "t.json", R"([{"type":"function","function":{"name":"f","x":1}},{"name":"g"}])");
  ASSERT_TRUE(tools.ok()) << tools.status().message();
  ASSERT_EQ(tools->size(), 2U);
  EXPECT_EQ((*tools)[0].definition, R"({"type": "function", "function": {"name": "f", "x": 1}})");
  EXPECT_EQ((*tools)[0].function, R"({"name": "f", "x": 1})");
  EXPECT_EQ((*tools)[1].definition, R"({"name": "g"})");
  EXPECT_EQ((*tools)[1].function, R"({"name": "g"})");
}

TEST(ChatJson, NamesTheToolThatIsWrong) {
  const auto message = [](std::string_view text) {
    const auto tools = parse_chat_tools("t.json", text);
    EXPECT_EQ(tools.status().code(), StatusCode::kInvalidFile);
    return tools.status().message();
  };
  EXPECT_EQ(message("{}"), "t.json: is an object, expected an array");
  EXPECT_EQ(message("[1]"), "t.json: tool 0 is an integer, expected an object");
  EXPECT_EQ(message(R"([{"name":"f"},{"function":3}])"),
            "t.json: tool 1: 'function' is an integer, expected an object");
  EXPECT_EQ(message(R"([{"function":{"x":1}}])"),
            "t.json: tool 0: 'name' is missing, expected a string");
  EXPECT_EQ(message("[").substr(0, 23), "t.json: not valid JSON:");
  EXPECT_EQ(message(R"([{"name":"f","x":18446744073709551616}])").substr(0, 23),
            "t.json: not valid JSON:");
}

TEST(ChatJson, ReadsMessages) {
  // Editors of Windows write such a mark.
  EXPECT_TRUE(
      parse_chat_messages("m.json", "\xEF\xBB\xBF[{\"role\":\"user\",\"content\":\"x\"}]").ok());
  const auto messages = parse_chat_messages("m.json", R"([
    {"role":"system","content":"S"}, {"role":"user","content":""},
    {"role":"assistant","content":null,"tool_calls":[
      {"type":"function","function":{"name":"f","arguments":{"a":1}}},
      {"name":"g","arguments":"{}"}]},
    {"role":"tool","content":"1"}, {"role":"tool_response","content":"2"}])");
  ASSERT_TRUE(messages.ok()) << messages.status().message();
  ASSERT_EQ(messages->size(), 5U);
  EXPECT_EQ((*messages)[0].role, ChatRole::kSystem);
  EXPECT_EQ((*messages)[0].content, "S");
  EXPECT_EQ((*messages)[1].role, ChatRole::kUser);
  EXPECT_EQ((*messages)[2].role, ChatRole::kAssistant);
  EXPECT_EQ((*messages)[2].content, "");
  ASSERT_EQ((*messages)[2].tool_calls.size(), 2U);
  EXPECT_EQ((*messages)[2].tool_calls[0].arguments, R"({"a": 1})");
  // A string stays one, as in the published templates.
  EXPECT_EQ((*messages)[2].tool_calls[1].name, "g");
  EXPECT_EQ((*messages)[2].tool_calls[1].arguments, R"("{}")");
  EXPECT_EQ((*messages)[3].role, ChatRole::kTool);
  EXPECT_EQ((*messages)[4].role, ChatRole::kToolResponse);
}

TEST(ChatJson, NamesTheMessageThatIsWrong) {
  const auto message = [](std::string_view text) {
    const auto messages = parse_chat_messages("m.json", text);
    EXPECT_EQ(messages.status().code(), StatusCode::kInvalidFile);
    return messages.status().message();
  };
  EXPECT_EQ(message("7"), "m.json: is an integer, expected an array");
  EXPECT_EQ(message(R"([{"role":"user","content":"x"},[]])"),
            "m.json: message 1 is an array, expected an object");
  EXPECT_EQ(message(R"([{"role":"boss","content":"x"}])"),
            "m.json: message 0: role 'boss', expected system, user, assistant, tool or "
            "tool_response");
  EXPECT_EQ(message(R"([{"role":"user"}])"),
            "m.json: message 0: 'content' is missing, expected a string");
  EXPECT_EQ(message(R"([{"role":"user","content":[]}])"),
            "m.json: message 0: 'content' is an array, expected a string");
  EXPECT_EQ(message(R"([{"role":"assistant","content":"","tool_calls":[{"name":"f"}]}])"),
            "m.json: message 0: 'tool_calls' is an object, expected objects with a string 'name' "
            "and 'arguments'");
}

// "content | name arguments | ..." of an answer.
std::string parsed(ChatFamily family, std::string_view answer) {
  const ParsedAnswer result = parse_tool_calls(family, answer);
  std::string text = result.content;
  for (const ToolCall& call : result.tool_calls) text += "|" + call.name + " " + call.arguments;
  return text;
}

TEST(ChatJson, FindsCallsInAnswers) {
  const auto mimo = [](std::string_view text) { return parsed(ChatFamily::kChatMl, text); };
  EXPECT_EQ(mimo("Hm.\n<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n</tool_call>"),
            "Hm.|f {\"a\": 1}");
  EXPECT_EQ(mimo("<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n"
                 "<tool_call>{\"name\":\"g\",\"arguments\":2}\n"),
            "|f {}|g 2");
  const auto mini = [](std::string_view text) { return parsed(ChatFamily::kPhi4Mini, text); };
  EXPECT_EQ(mini("<|tool_call|>[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":"
                 "[]}]<|/tool_call|>"),
            "|f {}|g []");
  EXPECT_EQ(mini("A <|tool_call|>[{\"name\":\"f\",\"arguments\":{}}]"), "A|f {}");
  EXPECT_EQ(mini("functools[{\"name\":\"f\",\"arguments\":{}}]"), "|f {}");
}

TEST(ChatJson, MalformedCallsAreText) {
  for (const char* text :
       {"", "Hello", "<tool_call>", "<tool_call>{\"name\":\"f\"}</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> and more",
        "<tool_call>{\"name\":1,\"arguments\":{}}</tool_call>", "<tool_call>{]</tool_call>"}) {
    EXPECT_EQ(parsed(ChatFamily::kChatMl, text), text);
    EXPECT_EQ(parsed(ChatFamily::kPhi4, text), text);
  }
  for (const char* text :
       {"<|tool_call|>", "functools[", "functools[]", "functools[1]", "<|tool_call|>{}",
        "<|tool_call|>[{\"name\":\"f\",\"arguments\":{}}]<|/tool_call|> x"}) {
    EXPECT_EQ(parsed(ChatFamily::kPhi4Mini, text), text);
  }
}

}  // namespace
}  // namespace midge
