// The hand-written matchers against PCRE2 running the published expressions.
//
// PCRE2 and utf8proc may follow different Unicode versions, so code points are drawn only from
// those that both put into the same class. PCRE2's \s also takes U+180E, which has not been white
// space since Unicode 6.3; it is left out here and tested in unicode_test.cc.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/unicode.h"

namespace midge {
namespace {

constexpr std::string_view kRegexes[] = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
    R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
};

// A compiled expression.
class Oracle {
 public:
  explicit Oracle(std::string_view regex) {
    int error = 0;
    size_t offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(regex.data()), regex.size(),
                          PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
    EXPECT_NE(code_, nullptr) << "error " << error << " at " << offset << " in " << regex;
    // Fails without just-in-time support, and matching then is interpreted.
    static_cast<void>(pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE));
    match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  ~Oracle() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  // End of the match that starts at `begin`; `begin` if there is none.
  size_t end(std::string_view text, size_t begin) const {
    const int count = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  begin, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, match_, nullptr);
    return count > 0 ? pcre2_get_ovector_pointer(match_)[1] : begin;
  }

 private:
  pcre2_code* code_ = nullptr;
  pcre2_match_data* match_ = nullptr;
};

// Code points that both libraries put into the same class.
std::vector<uint32_t> common_code_points() {
  struct ClassOracle {
    Oracle oracle;
    uint8_t kind;
  };
  const ClassOracle oracles[] = {
      {Oracle(R"(\s)"), kSpace},     {Oracle(R"([\p{Lu}\p{Lt}])"), kUpper},
      {Oracle(R"(\p{Ll})"), kLower}, {Oracle(R"([\p{Lm}\p{Lo}])"), kOtherLetter},
      {Oracle(R"(\p{M})"), kMark},   {Oracle(R"(\p{N})"), kNumber},
      {Oracle(R"(.)"), kOther}};
  std::vector<uint32_t> points;
  for (uint32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    append_utf8(value, &text);
    for (const ClassOracle& candidate : oracles) {
      if (candidate.oracle.end(text, 0) == 0) continue;
      if (candidate.kind == char_class(value)) points.push_back(value);
      break;
    }
  }
  return points;
}

constexpr uint32_t kCritical[] = {
    '\'',   '\'', 's',    'S',     0x17F, 't',    'l',    'L',   'r',    'e',    'v',
    'D',    'a',  'B',    0x1C5,   0x2B0, 0x4E2D, 0x301,  0x903, '1',    0x663,  0xBD,
    0x2163, ' ',  ' ',    '\n',    '\r',  '\t',   0x85,   0xA0,  0x3000, 0x2028, '/',
    '.',    '-',  0x200D, 0x1F600, 0x130, 0xDF,   0x212A, 0};

// The pieces of a text in two steps, as SmolLM2's tokenizer.json has them.
std::vector<size_t> smollm_ends(const Oracle& number, const Oracle& gpt2, std::string_view text) {
  std::vector<size_t> ends;
  for (size_t begin = 0; begin < text.size();) {
    if (const size_t end = number.end(text, begin); end != begin) {
      ends.push_back(end);
      begin = end;
      continue;
    }
    size_t stop = begin;
    while (stop < text.size() && number.end(text, stop) == stop) {
      stop += decode_utf8(text, stop).length;
    }
    const std::string_view part = text.substr(begin, stop - begin);
    for (size_t at = 0; at < part.size(); at = ends.back() - begin) {
      ends.push_back(begin + gpt2.end(part, at));
      if (ends.back() == begin + at) return {};  // which the caller takes for a difference
    }
    begin = stop;
  }
  return ends;
}

uint64_t seed_of_run() {
  const char* text = std::getenv("MIDGE_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20240907;
}

TEST(PretokenizerFuzz, EqualsPcre2) {
  const uint64_t seed = seed_of_run();
  std::printf("seed %llu (MIDGE_TEST_SEED)\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const std::vector<uint32_t> points = common_code_points();
  ASSERT_GT(points.size(), size_t{1000000});
  std::vector<std::unique_ptr<Oracle>> oracles;
  std::vector<Pretokenizer> pretokenizers;
  for (const std::string_view regex : kRegexes) {
    oracles.push_back(std::make_unique<Oracle>(regex));
    const auto known = pretokenizer_from_regex(regex);
    ASSERT_TRUE(known.ok()) << known.status().message();
    pretokenizers.push_back(*known);
  }
  const Oracle number(R"(\p{N})");
  const Oracle gpt2(
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)");
  const Pretokenizer smollm = {PretokenizerPattern::kSmollm, false};
  const auto below = [&random](size_t limit) { return random() % limit; };
  constexpr int kStrings = 30000;
  for (int i = 0; i < kStrings; ++i) {
    std::string text;
    const size_t length = 1 + below(14);
    const bool wild = i % 4 == 3;
    for (size_t k = 0; k < length; ++k) {
      append_utf8(wild && below(3) != 0 ? points[below(points.size())]
                                        : kCritical[below(std::size(kCritical))],
                  &text);
    }
    for (size_t p = 0; p < oracles.size(); ++p) {
      for (size_t begin = 0; begin < text.size();) {
        const size_t end = pretoken_end(pretokenizers[p], text, begin);
        ASSERT_EQ(end, oracles[p]->end(text, begin))
            << "seed " << seed << " string " << i << " '" << printable(text, 400) << "' at "
            << begin << " by " << kRegexes[p];
        ASSERT_GT(end, begin);
        begin = end;
      }
    }
    std::vector<size_t> ends;
    for (size_t begin = 0; begin < text.size(); begin = ends.back()) {
      ends.push_back(pretoken_end(smollm, text, begin));
      ASSERT_GT(ends.back(), begin);
    }
    ASSERT_EQ(ends, smollm_ends(number, gpt2, text))
        << "seed " << seed << " string " << i << " '" << printable(text, 400) << "'";
  }
}

}  // namespace
}  // namespace midge
