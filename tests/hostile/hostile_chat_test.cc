// Hostile files of tools and messages, one test for each item of docs/hostile-input.md.
#include <gtest/gtest.h>

#include "engine/chat/chat_json.h"
#include "tests/harness/colliding_keys.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"

namespace midge {
namespace {

using test::expect_refused;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
using Parts = std::initializer_list<std::string_view>;

void refuse_tools(const std::string& text, Parts parts) {
  expect_refused([&] { return parse_chat_tools("tools.json", text).status(); }, text.size(),
                 kInvalid, "tools.json: ", parts);
}

TEST(HostileChat, KeysMadeToCollide) {
  std::string tool = "{\"name\":\"f\"";
  for (const std::string& key : test::colliding_keys(40'000)) tool += ",\"" + key + "\":1";
  refuse_tools("[" + tool + "},{}]", {"tool 1", "'name' is missing"});
}

// 1e15 becomes 1000000000000000.0: a file of 8 MB, 32 MB of text.
std::string numbers_that_grow() {
  std::string list = "[1e15";
  while (list.size() < (8 << 20)) list += ",1e15";
  return list + "]";
}

TEST(HostileChat, ToolsThatGrow) {
  refuse_tools("[{\"name\":\"f\",\"x\":" + numbers_that_grow() + "}]",
               {"tool 0", "takes more than 2097152 bytes"});
  std::string many = "[";
  for (int i = 0; i < 60; ++i) {
    if (i > 0) many += ',';
    many += "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"x\":\"" +
            std::string(100'000, 'x') + "\"}}";
  }
  refuse_tools(many + "]", {"tool ", "takes more than 2097152 bytes"});
}

void refuse_messages(const std::string& text, Parts parts) {
  expect_refused([&] { return parse_chat_messages("chat.json", text).status(); }, text.size(),
                 kInvalid, "chat.json: ", parts);
}

TEST(HostileChat, ArgumentsThatGrow) {
  refuse_messages("[{\"role\":\"assistant\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":" +
                      numbers_that_grow() + "}]}]",
                  {"message 0", "takes more than 2097152 bytes"});
}

TEST(HostileChat, NumbersOfManyDigits) {
  std::string text = R"([{"role":"user","content":"a","x":[0)";
  while (text.size() < (16 << 20) - 100) text += ",9999999999999999999.9e289";
  refuse_messages(text + "]}]", {"more than 19 digits", "expected at most 1000 such numbers"});
}

// As many as are allowed, of the digits that take longest: the document is parsed.
TEST(HostileChat, AsManyNumbersOfManyDigitsAsAreAllowed) {
  std::string text = R"([{"role":"user","content":"a","x":[0)";
  for (int i = 0; i < 1000; ++i) text += ",1." + std::string(1000, '7') + "e-300";
  refuse_messages(text + "]},0]", {"message 1 is an integer, expected an object"});
}

std::string repeated(std::string_view item, int count) {
  std::string list(item);
  for (int i = 1; i < count; ++i) list.append(",").append(item);
  return list;
}

constexpr std::string_view kResult = R"({"role":"tool","content":""})";
constexpr std::string_view kCall = R"({"name":"","arguments":0})";
constexpr std::string_view kCalls = R"([{"role":"assistant","content":"","tool_calls":[)";

TEST(HostileChat, ManyMessages) {
  refuse_messages("[" + repeated(kResult, 320'000) + "]", {"more than 32768 messages"});
}

TEST(HostileChat, ManyToolCalls) {
  refuse_messages(std::string(kCalls) + repeated(kCall, 341'000) + "]}]",
                  {"message 0", "more than 16384 tool calls in the file"});
}

// They are read, and written as a template has them, before anything counts tokens.
TEST(HostileChat, AsManyMessagesAndCallsAsAreAllowed) {
  for (const std::string& text : {"[" + repeated(kResult, 32'768) + "]",
                                  std::string(kCalls) + repeated(kCall, 16'384) + "]}]"}) {
    const auto open = [&]() -> Status {
      MIDGE_ASSIGN_OR_RETURN(const auto messages, parse_chat_messages("chat.json", text));
      MIDGE_ASSIGN_OR_RETURN(const ChatTemplate chat, chat_template_from_name("mimo"));
      MIDGE_ASSIGN_OR_RETURN(const auto parts,
                             render_chat(chat, messages, GenerationPrompt::kAssistant));
      return make_status(kInvalid, "chat.json: %zu messages in parts", messages.size());
    };
    expect_refused(open, text.size(), kInvalid, "chat.json: ", {"messages in parts"});
  }
}

TEST(HostileChat, DuplicateKeysOfAMessage) {
  refuse_messages(R"([{"role":"user","content":"a","content":"b"}])",
                  {"message 0", "key 'content' is there twice"});
}

}  // namespace
}  // namespace midge
