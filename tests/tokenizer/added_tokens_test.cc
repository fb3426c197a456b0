#include "engine/tokenizer/added_tokens.h"

#include <cstdio>
#include <ctime>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "engine/core/status.h"

namespace midge {
namespace {

AddedToken token(int32_t id, std::string content) {
  AddedToken added;
  added.id = id;
  added.content = std::move(content);
  return added;
}

// Segments as "[id:text]" for tokens and plain text for the rest.
std::string shown(const AddedTokenMatcher& matcher, std::string_view text) {
  std::string out;
  for (const TextSegment& segment : matcher.split(text)) {
    if (segment.id < 0) {
      out += format_string("(%.*s)", static_cast<int>(segment.text.size()), segment.text.data());
    } else {
      out += format_string("[%d:%.*s]", segment.id, static_cast<int>(segment.text.size()),
                           segment.text.data());
    }
  }
  return out;
}

TEST(AddedTokens, LongestAtEachPosition) {
  const AddedTokenMatcher matcher({token(1, "<a>"), token(2, "<a><b>"), token(3, "<b>")});
  EXPECT_EQ(shown(matcher, "<a><b><a>x<b>"), "[2:<a><b>][1:<a>](x)[3:<b>]");
  EXPECT_EQ(shown(matcher, "<a><b"), "[1:<a>](<b)");
  EXPECT_EQ(shown(matcher, "<<a>"), "(<)[1:<a>]");
  EXPECT_EQ(shown(matcher, ""), "");
  EXPECT_EQ(shown(matcher, "plain"), "(plain)");
}

TEST(AddedTokens, LeftmostBeforeLongest) {
  const AddedTokenMatcher matcher({token(1, "ab"), token(2, "bcd")});
  EXPECT_EQ(shown(matcher, "abcd"), "[1:ab](cd)");
}

TEST(AddedTokens, StripsWhiteSpace) {
  AddedToken left = token(1, "<l>");
  left.lstrip = true;
  AddedToken right = token(2, "<r>");
  right.rstrip = true;
  const AddedTokenMatcher matcher({left, right});
  EXPECT_EQ(shown(matcher, "a \n\u3000<l> b"), "(a)[1: \n\u3000<l>]( b)");
  EXPECT_EQ(shown(matcher, "a <r> \u00A0 b"), "(a )[2:<r> \u00A0 ](b)");
  // What one token took is not there for the next one.
  EXPECT_EQ(shown(matcher, "<r>  <l>"), "[2:<r>  ][1:<l>]");
  EXPECT_EQ(shown(matcher, "  <l>  "), "[1:  <l>](  )");
}

TEST(AddedTokens, SingleWordNeedsBoundaries) {
  AddedToken word = token(1, "cat");
  word.single_word = true;
  const AddedTokenMatcher matcher({word});
  EXPECT_EQ(shown(matcher, "cat"), "[1:cat]");
  EXPECT_EQ(shown(matcher, "a cat."), "(a )[1:cat](.)");
  EXPECT_EQ(shown(matcher, "cats"), "(cats)");
  EXPECT_EQ(shown(matcher, "bobcat"), "(bobcat)");
  EXPECT_EQ(shown(matcher, "\u00E9cat"), "(\u00E9cat)");
  EXPECT_EQ(shown(matcher, "cat_"), "(cat_)");
  EXPECT_EQ(shown(matcher, "catcat cat"), "(catcat )[1:cat]");
  EXPECT_EQ(shown(matcher,
                  "\xFF"
                  "cat\xFF"),
            "(\xFF)[1:cat](\xFF)");
}

TEST(AddedTokens, MatchesAcrossInvalidBytes) {
  const AddedTokenMatcher matcher({token(1, "<a>")});
  EXPECT_EQ(shown(matcher, "\xE4<a>\xB8"), "(\xE4)[1:<a>](\xB8)");
}

TEST(AddedTokens, WithoutTokens) {
  const AddedTokenMatcher matcher;
  EXPECT_TRUE(matcher.empty());
  EXPECT_EQ(shown(matcher, "<a>"), "(<a>)");
}

// What `split` promises, word for word: at each position the longest token, which is then passed.
// Without flags.
std::string shown_by_definition(const std::vector<AddedToken>& tokens, std::string_view text) {
  std::string out;
  std::string plain;
  const auto flush = [&] {
    if (!plain.empty()) out += "(" + plain + ")";
    plain.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const AddedToken* longest = nullptr;
    for (const AddedToken& one : tokens) {
      if (!text.substr(at).starts_with(one.content)) continue;
      if (longest == nullptr || longest->content.size() < one.content.size()) longest = &one;
    }
    if (longest == nullptr) {
      plain += text[at++];
      continue;
    }
    flush();
    out += format_string("[%d:%s]", longest->id, longest->content.c_str());
    at += longest->content.size();
  }
  flush();
  return out;
}

TEST(AddedTokens, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  const auto word = [&](size_t length_max) {
    std::string text;
    for (size_t i = 1 + random() % length_max; i > 0; --i) {
      text += static_cast<char>('a' + random() % 3);
    }
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> contents;
    for (size_t i = random() % 12; i > 0; --i) contents.insert(word(6));
    std::vector<AddedToken> tokens;
    for (const std::string& content : contents) {
      tokens.push_back(token(static_cast<int32_t>(tokens.size()), content));
    }
    const AddedTokenMatcher matcher(tokens);
    for (int i = 0; i < 20; ++i) {
      const std::string text = word(40);
      ASSERT_EQ(shown(matcher, text), shown_by_definition(tokens, text)) << text;
    }
  }
}

TEST(AddedTokens, TimeIsLinearInTheText) {
  // Almost a token at every position, as long as they may be; and tokens inside of tokens.
  std::vector<AddedToken> tokens;
  for (int32_t i = 0; i < 200; ++i) {
    tokens.push_back(token(i, std::string(1023 - static_cast<size_t>(i), 'a') + "b"));
  }
  const AddedTokenMatcher matcher(tokens);
  const std::string text(4 << 20, 'a');
  const std::clock_t start = std::clock();
  EXPECT_EQ(matcher.split(text).size(), 1U);
  EXPECT_EQ(matcher.split(text + "b").size(), 2U);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("[ linear   ] %.0f ms for 8 MiB\n", seconds * 1e3);
  EXPECT_LE(seconds, 10);  // under an emulator; it took over a minute
}

}  // namespace
}  // namespace midge
