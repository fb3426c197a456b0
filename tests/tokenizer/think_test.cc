#include "engine/chat/think.h"

#include <gtest/gtest.h>

#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

struct Case {
  const char* text;
  const char* thought;
  const char* answer;
};

constexpr Case kCases[] = {
    {"<think>\na\n</think>\n\nb <think>c</think>", "\na\n", "b <think>c</think>"},
    {" \n<think>a</think>b", "a", "b"},
    {"<think></think>", "", ""},
    {"<think>a", "a", ""},
    {"<think>a</thin", "a</thin", ""},
    {"<think>a</</think></think>b", "a</", "</think>b"},
    {"<think>a</think> \n", "a", ""},
    {"a <think>b</think>", "", "a <think>b</think>"},
    {"</think>a", "", "</think>a"},
    {"<thinking>a", "", "<thinking>a"},
    {"<thin", "", "<thin"},
    {" \n", "", " \n"},
    {"", "", ""},
    {"<think>é</think>世界", "é", "世界"},
};

TEST(Think, SplitsTheSectionAtTheBegin) {
  for (const Case& c : kCases) {
    EXPECT_EQ(split_think(c.text).thought, c.thought) << c.text;
    EXPECT_EQ(split_think(c.text).answer, c.answer) << c.text;
  }
}

// Every way to cut the text in three pieces, and single bytes.
TEST(Think, HidesWhereverThePiecesAreCut) {
  for (const Case& c : kCases) {
    const std::string_view text = c.text;
    for (size_t i = 0; i <= text.size(); ++i) {
      for (size_t j = i; j <= text.size(); ++j) {
        ThinkFilter filter;
        std::string shown;
        filter.push(text.substr(0, i), &shown);
        filter.push(text.substr(i, j - i), &shown);
        filter.push(text.substr(j), &shown);
        filter.flush(&shown);
        ASSERT_EQ(shown, c.answer) << text << " cut at " << i << " and " << j;
      }
    }
    ThinkFilter filter;
    std::string shown;
    for (const char byte : text) filter.push({&byte, 1}, &shown);
    filter.flush(&shown);
    EXPECT_EQ(shown, c.answer) << text;
  }
}

TEST(Think, TellsTheSectionApart) {
  for (const std::string text : {" <think>\na <b> </thin\n</think>\n\nanswer", "<think>only",
                                 "none", "<think></think>x", ""}) {
    for (size_t i = 0; i <= text.size(); ++i) {
      ThinkFilter filter;
      std::string shown;
      std::string thought;
      filter.push(text.substr(0, i), &shown, &thought);
      filter.push(text.substr(i), &shown, &thought);
      filter.flush(&shown, &thought);
      ASSERT_EQ(thought + shown, text) << "cut at " << i;
      ASSERT_EQ(shown, split_think(text).answer) << "cut at " << i;
    }
  }
}

TEST(Think, HoldsBackNoMoreThanItMust) {
  ThinkFilter filter;
  std::string shown;
  filter.push("<thi", &shown);
  EXPECT_EQ(shown, "");
  filter.push("s", &shown);
  EXPECT_EQ(shown, "<this");
  filter.push(" <think>", &shown);
  EXPECT_EQ(shown, "<this <think>");
}

TEST(Think, DropsTokensAndPartsOfTokens) {
  SmallJson json;
  json.added = R"({"id":300,"content":"<think>","special":true},)"
               R"({"id":301,"content":"</think>\n\nhel","special":false},)"
               R"({"id":302,"content":"<|tool_call|>","special":true})";
  const auto tokenizer = parse_small(json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const Ids hel = ids_of(*tokenizer, "hel", SpecialTokens::kAsText);
  const auto kept = drop_think(*tokenizer, Ids{300, 'a', 301, 'p', 302, 300});
  ASSERT_TRUE(kept.ok()) << kept.status().message();
  Ids expected = hel;
  expected.insert(expected.end(), {'p', 302, 300});
  EXPECT_EQ(*kept, expected);
  EXPECT_EQ(*drop_think(*tokenizer, Ids{'a', 300, 301}), (Ids{'a', 300, 301}));
  EXPECT_EQ(*drop_think(*tokenizer, Ids{300, 'a'}), Ids());
}

}  // namespace
}  // namespace midge
