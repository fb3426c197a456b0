#include "engine/tokenizer/pretokenizer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace midge {
namespace {

using Pieces = std::vector<std::string>;

constexpr Pretokenizer kPhi4 = {PretokenizerPattern::kCl100k, true};
constexpr Pretokenizer kPhi4Mini = {PretokenizerPattern::kO200k, true};
constexpr Pretokenizer kSmollm = {PretokenizerPattern::kSmollm, false};
constexpr Pretokenizer kMimo = {PretokenizerPattern::kQwen2, true};

Pieces split(Pretokenizer pretokenizer, std::string_view text) {
  Pieces pieces;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = pretoken_end(pretokenizer, text, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    if (end <= begin || end > text.size()) {
      ADD_FAILURE() << "piece " << begin << ".." << end;
      break;
    }
    begin = end;
  }
  return pieces;
}

// The splits of a regular expression engine, see the table of specification examples.
constexpr std::string_view kExample = "ABCdef abcDEF don't DON'T 2024  x\n \ny e\u0301+a a/b//\n";

TEST(Pretokenizer, SplitsTheExampleAsPhi4) {
  EXPECT_EQ(split(kPhi4, kExample),
            (Pieces{"ABCdef", " abcDEF", " don", "'t", " DON", "'T", " ", "202", "4", " ", " x",
                    "\n \n", "y", " e", "\u0301+", "a", " a", "/b", "//\n"}));
}

TEST(Pretokenizer, SplitsTheExampleAsPhi4Mini) {
  EXPECT_EQ(split(kPhi4Mini, kExample),
            (Pieces{"ABCdef", " abc", "DEF", " don't", " DON'T", " ", "202", "4", " ", " x",
                    "\n \n", "y", " e\u0301", "+a", " a", "/b", "//\n"}));
}

TEST(Pretokenizer, SplitsTheExampleAsMimo) {
  EXPECT_EQ(
      split(kMimo, kExample),
      (Pieces{"ABCdef", " abcDEF", " don",  "'t", " DON", "'T",      " ", "2",  "0",  "2",   "4",
              " ",      " x",      "\n \n", "y",  " e",   "\u0301+", "a", " a", "/b", "//\n"}));
}

TEST(Pretokenizer, SplitsTheExampleAsSmollm) {
  EXPECT_EQ(split(kSmollm, kExample),
            (Pieces{"ABCdef",  " abcDEF", " don", "'t", " DON", "'",   "T",  " ", "2",
                    "0",       "2",       "4",    " ",  " x",   "\n ", "\n", "y", " e",
                    "\u0301+", "a",       " a",   "/",  "b",    "//",  "\n"}));
  // The text between two digits ends before the second: its spaces stay together.
  EXPECT_EQ(split(kSmollm, "1   2   x"), (Pieces{"1", "   ", "2", "  ", " x"}));
  EXPECT_EQ(split(kSmollm, " 's ''s"), (Pieces{" '", "s", " ''", "s"}));
}

TEST(Pretokenizer, WhiteSpaceAtTheEnd) {
  for (const Pretokenizer pretokenizer : {kPhi4, kPhi4Mini, kMimo}) {
    EXPECT_EQ(split(pretokenizer, "today\n  \n"), (Pieces{"today", "\n  \n"}));
    EXPECT_EQ(split(pretokenizer, "today\n "), (Pieces{"today", "\n", " "}));
    EXPECT_EQ(split(pretokenizer, "x   "), (Pieces{"x", "   "}));
    EXPECT_EQ(split(pretokenizer, "x   y"), (Pieces{"x", "  ", " y"}));
    EXPECT_EQ(split(pretokenizer, "\t\tx"), (Pieces{"\t", "\tx"}));
    EXPECT_EQ(split(pretokenizer, ""), Pieces{});
  }
}

TEST(Pretokenizer, SlashesFollowSymbolsInO200k) {
  EXPECT_EQ(split(kPhi4Mini, "-//\n/x"), (Pieces{"-//\n/", "x"}));
  EXPECT_EQ(split(kPhi4, "-//\n/x"), (Pieces{"-//\n", "/x"}));
}

TEST(Pretokenizer, LongSIsAnSWhereThePatternFoldsCase) {
  EXPECT_EQ(split(kPhi4, "it'\u017Fa"), (Pieces{"it", "'\u017F", "a"}));
  EXPECT_EQ(split({PretokenizerPattern::kCl100k, false}, "it'\u017Fa"), (Pieces{"it", "'\u017Fa"}));
  EXPECT_EQ(split(kPhi4Mini, "it'\u017Fa"), (Pieces{"it'\u017F", "a"}));
}

TEST(Pretokenizer, InvalidBytesAreSymbols) {
  for (const Pretokenizer pretokenizer : {kPhi4, kPhi4Mini, kMimo}) {
    EXPECT_EQ(split(pretokenizer, "a\xFF\x80 b"), (Pieces{"a", "\xFF\x80", " b"}));
    EXPECT_EQ(split(pretokenizer, "\xE4\xB8"), (Pieces{"\xE4\xB8"}));
    EXPECT_EQ(split(pretokenizer, " \xFF\n"), (Pieces{" \xFF\n"}));
    EXPECT_EQ(split(pretokenizer,
                    "\xFF"
                    "a"),
              (Pieces{"\xFF"
                      "a"}));  // leads a word
  }
}

TEST(Pretokenizer, RecognisesKnownExpressions) {
  const auto phi4 = pretokenizer_from_regex(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
      R"(|\s*[\r\n]+|\s+(?!\S)|\s+)");
  ASSERT_TRUE(phi4.ok()) << phi4.status().message();
  EXPECT_EQ(*phi4, kPhi4);
  const auto spelled = pretokenizer_from_regex(
      R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+)"
      R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  ASSERT_TRUE(spelled.ok()) << spelled.status().message();
  EXPECT_EQ(*spelled, (Pretokenizer{PretokenizerPattern::kQwen2, false}));
}

TEST(Pretokenizer, RefusesUnknownExpressions) {
  for (const char* regex : {"", "(a+)+$", R"(\p{L}+)", R"(\s+(?!\S)|\s+)"}) {
    const auto result = pretokenizer_from_regex(regex);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kUnsupported);
  }
  EXPECT_NE(pretokenizer_from_regex("(a+)+$").status().message().find("'(a+)+$'"),
            std::string::npos);
}

TEST(Pretokenizer, MapsGgufNames) {
  EXPECT_EQ(*pretokenizer_from_gguf_name("dbrx"), kPhi4);
  EXPECT_EQ(*pretokenizer_from_gguf_name("llama-bpe"), kPhi4);
  EXPECT_EQ(*pretokenizer_from_gguf_name("gpt-4o"), kPhi4Mini);
  EXPECT_EQ(*pretokenizer_from_gguf_name("qwen2"), kMimo);
  EXPECT_EQ(*pretokenizer_from_gguf_name("smollm"), kSmollm);
  for (const char* name : {"default", "gpt-2", "", "qwen2 "}) {
    const auto result = pretokenizer_from_gguf_name(name);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kUnsupported);
  }
}

}  // namespace
}  // namespace midge
