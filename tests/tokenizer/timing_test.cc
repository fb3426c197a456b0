// What must take linear time. The label `timing` keeps these tests from runs that share a machine:
// scripts/test.sh leaves them to --long. Processor time is judged, not the clock on the wall, and
// mostly its growth: ten times the text takes ten times as long, or a little more, where a
// quadratic algorithm takes a hundred.
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "engine/tokenizer_files/tokenizer_model.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

const std::string kSmall = MIDGE_TEST_DATA "/tokenizer/sentencepiece";

double cpu_seconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// work(bytes), for a text of so many bytes.
void expect_linear(const std::function<void(size_t bytes)>& work, size_t bytes,
                   const std::string& what) {
  const double tenth = cpu_seconds([&] { work(bytes / 10); });
  const double whole = cpu_seconds([&] { work(bytes); });
  std::printf("[ linear   ] %s: %.3f s, a tenth %.3f s\n", what.c_str(), whole, tenth);
  EXPECT_LT(whole, 40 * tenth + 0.1) << what;
}

// Each bundled vocabulary, and each real one that is there. 1 MB of one letter is one piece.
TEST(Timing, AMillionEqualLettersAreLinear) {
  const std::string models = MIDGE_SOURCE_DIR "/assets/models/";
  int vocabularies = 0;
  for (const std::string& directory :
       {models + "tiny-phi", models + "tiny-mimo", vocabulary_directory("phi-4"),
        vocabulary_directory("phi-4-mini"), vocabulary_directory("mimo"), kSmall}) {
    const auto tokenizer = load_tokenizer_json(directory);
    if (!tokenizer.ok()) continue;
    ++vocabularies;
    for (const char letter : {'x', '-'}) {
      expect_linear(
          [&](size_t bytes) {
            const std::string text(bytes, letter);
            EXPECT_EQ(*tokenizer->decode(ids_of(*tokenizer, text)), text);
          },
          1000000, directory + " '" + letter + "'");
    }
  }
  EXPECT_GE(vocabularies, 3);
}

TEST(Timing, LongTextsOfATokenizerModelAreLinear) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << "this build has no libsentencepiece";
  const auto tokenizer = load_tokenizer_model(kSmall);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  expect_linear(
      [&](size_t bytes) { EXPECT_FALSE(ids_of(*tokenizer, std::string(bytes, 'x')).empty()); },
      200000, "tokenizer.model");
}

TEST(Timing, NfcOfManyMarksIsLinear) {
  expect_linear(
      [](size_t bytes) {
        std::string text = "a";
        while (text.size() < bytes) text += "\xCC\x81\xCC\x96";  // classes 230, 220
        std::string buffer;
        EXPECT_EQ(normalize_nfc(text, &buffer).size(), text.size() - 1);
      },
      1000000, "NFC");
}

TEST(Timing, PretokenizersAreLinear) {
  const std::string text_parts[] = {"A",      "a",      " ",       "\n",   " \n",
                                    "\u0301", "\u4E2D", "\u0301A", "'",    "'s",
                                    "/",      "-\n",    "1",       "\xFF", "\u0301AA\u4E2D"};
  constexpr PretokenizerPattern kPatterns[] = {
      PretokenizerPattern::kCl100k, PretokenizerPattern::kO200k, PretokenizerPattern::kQwen2};
  for (const std::string& part : text_parts) {
    for (const PretokenizerPattern pattern : kPatterns) {
      for (const char* tail : {"", "a", " ", "-"}) {
        expect_linear(
            [&](size_t bytes) {
              std::string whole;
              while (whole.size() < bytes) whole += part;
              whole += tail;
              for (size_t begin = 0; begin < whole.size();) {
                begin = pretoken_end({pattern, true}, whole, begin);
              }
            },
            300000, "pre-tokenizer on " + testing::PrintToString(part + ".." + tail));
      }
    }
  }
}

}  // namespace
}  // namespace midge
