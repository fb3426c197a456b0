#include "engine/tokenizer/added_tokens.h"

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

}  // namespace
}  // namespace midge
