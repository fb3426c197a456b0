#include "server/answer_text.h"

#include <gtest/gtest.h>

namespace midge::test {
namespace {

// All deltas of a text that is cut into pieces of `bytes`.
AnswerDelta taken_apart(std::string_view text, std::optional<ChatFamily> tools, size_t bytes) {
  AnswerText answer(tools);
  AnswerDelta all;
  const auto add = [&](AnswerDelta delta) {
    all.thought += delta.thought;
    all.content += delta.content;
    for (ToolCall& call : delta.tool_calls) all.tool_calls.push_back(std::move(call));
  };
  for (size_t i = 0; i < text.size(); i += bytes) add(answer.push(text.substr(i, bytes)));
  add(answer.finish());
  return all;
}

struct Case {
  const char* text;
  std::optional<ChatFamily> tools;
  const char* thought;
  const char* content;
  size_t calls;
};
constexpr ChatFamily kMl = ChatFamily::kChatMl;
constexpr ChatFamily kPhi = ChatFamily::kPhi4Mini;
const Case kCases[] = {
    {"Hello\n", std::nullopt, "", "Hello\n", 0},
    {"<think>\na</th b</think>\n\nHello", std::nullopt, "\na</th b", "Hello", 0},
    {"<think>never ends", std::nullopt, "never ends", "", 0},
    {" <think> is a tag?", std::nullopt, " is a tag?", "", 0},
    {"I <think> so", std::nullopt, "", "I <think> so", 0},
    {"Look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", kMl, "", "Look.", 1},
    {"<think>x</think><tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n"
     "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>",
     kMl, "x", "", 2},
    {"a <tool_call> that is none", kMl, "", "a <tool_call> that is none", 0},
    {"a <tool", kMl, "", "a <tool", 0},
    {"trailing space \n", kMl, "", "trailing space \n", 0},
    {"<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]<|/tool_call|>", kPhi, "", "", 1},
    {"functools[{\"name\": \"f\", \"arguments\": {\"a\": 1}}]", kPhi, "", "", 1},
    {"my functools are fine", kPhi, "", "my functools are fine", 0},
    {"<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", std::nullopt, "",
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", 0},
};

TEST(AnswerText, IsTheSameHoweverItIsCut) {
  for (const Case& sample : kCases) {
    for (const size_t bytes : {1u, 2u, 3u, 5u, 7u, 11u, 1000u}) {
      const AnswerDelta all = taken_apart(sample.text, sample.tools, bytes);
      EXPECT_EQ(all.thought, sample.thought) << sample.text << " by " << bytes;
      EXPECT_EQ(all.content, sample.content) << sample.text << " by " << bytes;
      EXPECT_EQ(all.tool_calls.size(), sample.calls) << sample.text << " by " << bytes;
    }
  }
}

// What is no call is not held back for long.
TEST(AnswerText, TextIsShownWhenItComes) {
  AnswerText answer(kMl);
  EXPECT_EQ(answer.push("Hello").content, "Hello");
  EXPECT_EQ(answer.push(" <to").content, "");
  EXPECT_EQ(answer.push("ad>").content, " <toad>");
}

}  // namespace
}  // namespace midge::test
