// Token ids against those of Hugging Face's tokenizers library, which
// tools/vocab/make_token_goldens.py wrote, and against the test vectors of llama.cpp.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/core/mapped_file.h"
#include "engine/formats/gguf/gguf.h"
#include "engine/formats/json.h"
#include "engine/tokenizer/tokenizer_gguf.h"
#include "engine/tokenizer/tokenizer_json.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

const std::string kData = MIDGE_TEST_DATA "/tokenizer";

struct GoldenStrings {
  std::vector<std::string> plain;    // without any added token
  std::vector<std::string> special;  // with added tokens in them
};

std::vector<std::string> strings_of(const JsonObject& root, std::string_view key) {
  std::vector<std::string> strings;
  const auto array = root.array(key);
  EXPECT_TRUE(array.ok());
  if (!array.ok()) return strings;
  for (const simdjson::dom::element element : *array) {
    std::string_view text;
    EXPECT_EQ(element.get_string().get(text), simdjson::SUCCESS);
    strings.emplace_back(text);
  }
  return strings;
}

GoldenStrings load_strings() {
  GoldenStrings strings;
  const auto document = JsonDocument::load(kData + "/strings.json", 1 << 24);
  EXPECT_TRUE(document.ok()) << document.status().message();
  if (!document.ok()) return strings;
  const auto root = document->root();
  strings.plain = strings_of(*root, "plain");
  strings.special = strings_of(*root, "special");
  EXPECT_GE(strings.plain.size(), 5000U);
  return strings;
}

// Lists of ids: the number of ids and the ids, each as unsigned LEB128.
std::vector<Ids> load_ids(const std::string& path) {
  std::vector<Ids> lists;
  const auto data = read_small_file(path, 1 << 24);
  EXPECT_TRUE(data.ok()) << data.status().message();
  if (!data.ok()) return lists;
  size_t position = 0;
  const auto next = [&]() {
    uint32_t value = 0;
    for (uint32_t shift = 0; position < data->size(); shift += 7) {
      const auto byte = static_cast<uint8_t>((*data)[position++]);
      value |= (byte & 0x7FU) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (position < data->size()) {
    lists.emplace_back(next());
    for (int32_t& id : lists.back()) id = static_cast<int32_t>(next());
  }
  return lists;
}

// How many strings get other ids than the goldens; the first five are printed.
struct Comparison {
  int compared = 0;
  int different = 0;

  void expect(const std::string& text, const Ids& found, const Ids& expected) {
    ++compared;
    if (found == expected) return;
    if (++different <= 5) {
      ADD_FAILURE() << "'" << printable(text, 300) << "'\n  ids      "
                    << testing::PrintToString(found) << "\n  expected "
                    << testing::PrintToString(expected);
    }
  }
};

void compare_with_goldens(const Tokenizer& tokenizer, const std::string& name) {
  const GoldenStrings strings = load_strings();
  const std::vector<Ids> expected = load_ids(kData + "/ids_" + name + ".bin");
  ASSERT_EQ(expected.size(), strings.plain.size() + 2 * strings.special.size());
  Comparison comparison;
  size_t next = 0;
  for (const std::string& text : strings.plain) {
    const Ids& golden = expected[next++];
    comparison.expect(text, ids_of(tokenizer, text, SpecialTokens::kParse), golden);
    comparison.expect(text, ids_of(tokenizer, text, SpecialTokens::kAsText), golden);
  }
  for (const SpecialTokens special : {SpecialTokens::kParse, SpecialTokens::kAsText}) {
    for (const std::string& text : strings.special) {
      comparison.expect(text, ids_of(tokenizer, text, special), expected[next++]);
    }
  }
  std::printf("%s: %d of %d comparisons differ\n", name.c_str(), comparison.different,
              comparison.compared);
  EXPECT_EQ(comparison.different, 0);
}

// What a user's text can be made to contain: no added token, whatever it says.
void expect_no_smuggling(const Tokenizer& tokenizer) {
  std::string all;
  for (const AddedToken& token : tokenizer.added_tokens()) {
    for (const std::string& text :
         {token.content, "a" + token.content + "b", token.content + " "}) {
      for (const int32_t id : ids_of(tokenizer, text, SpecialTokens::kAsText)) {
        ASSERT_EQ(tokenizer.token_kind(id), TokenKind::kNormal) << text;
      }
    }
    all += token.content;
  }
  for (const int32_t id : ids_of(tokenizer, all, SpecialTokens::kAsText)) {
    ASSERT_EQ(tokenizer.token_kind(id), TokenKind::kNormal);
  }
}

std::string test_name(const testing::TestParamInfo<const char*>& parameter) {
  std::string name = parameter.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class RealVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(RealVocabulary, GivesTheIdsOfHuggingFace) {
  const std::string directory = vocabulary_directory(GetParam());
  if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
  const auto tokenizer = load_tokenizer_json(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_goldens(*tokenizer, GetParam());
  expect_no_smuggling(*tokenizer);
}

INSTANTIATE_TEST_SUITE_P(Golden, RealVocabulary, testing::Values("phi-4", "phi-4-mini", "mimo"),
                         test_name);

class BundledVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(BundledVocabulary, GivesTheIdsOfHuggingFace) {
  const auto tokenizer =
      load_tokenizer_json(std::string(MIDGE_SOURCE_DIR "/assets/models/") + GetParam());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_goldens(*tokenizer, GetParam());
  expect_no_smuggling(*tokenizer);
}

TEST_P(BundledVocabulary, DecodesWhatItEncodes) {
  const auto tokenizer =
      load_tokenizer_json(std::string(MIDGE_SOURCE_DIR "/assets/models/") + GetParam());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  // Whether the tokenizer normalises shows in a string that is not in its normal form.
  const bool nfc = *tokenizer->decode(ids_of(*tokenizer, "e\u0301")) != "e\u0301";
  for (const std::string& text : load_strings().plain) {
    const auto decoded = tokenizer->decode(ids_of(*tokenizer, text));
    ASSERT_TRUE(decoded.ok());
    if (!nfc) {
      ASSERT_EQ(*decoded, text);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, BundledVocabulary, testing::Values("tiny-phi", "tiny-mimo"),
                         test_name);

// llama.cpp's vectors for Qwen2. Its strings are in normal form, so that its lack of NFC does not
// show.
void compare_with_llama_cpp(const Tokenizer& tokenizer) {
  const auto input = read_small_file(kData + "/ggml-vocab-qwen2.gguf.inp", 1 << 20);
  const auto output = read_small_file(kData + "/ggml-vocab-qwen2.gguf.out", 1 << 20);
  ASSERT_TRUE(input.ok() && output.ok());
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  Comparison comparison;
  size_t begin = 0;
  const char* ids = output->c_str();
  while (begin < input->size()) {
    const size_t end = std::min(input->find(kSeparator, begin), input->size());
    const std::string text = input->substr(begin, end - begin);
    begin = end + kSeparator.size();
    Ids expected;
    while (*ids != '\n' && *ids != '\0') {
      char* after = nullptr;
      const long id = std::strtol(ids, &after, 10);
      if (after == ids) break;
      expected.push_back(static_cast<int32_t>(id));
      ids = after;
      while (*ids == ' ') ++ids;
    }
    if (*ids == '\n') ++ids;
    comparison.expect(text, ids_of(tokenizer, text), expected);
  }
  EXPECT_GE(comparison.compared, 40);
  EXPECT_EQ(comparison.different, 0);
}

TEST(Golden, LlamaCppVectorsOnTheQwen2Vocabulary) {
  const std::string directory = vocabulary_directory("mimo");
  if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
  const auto tokenizer = load_tokenizer_json(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_llama_cpp(*tokenizer);
}

TEST(Golden, Qwen2GgufGivesTheSameIds) {
  const char* path = std::getenv("MIDGE_QWEN2_VOCAB_GGUF");
  if (path == nullptr) {
    GTEST_SKIP() << "MIDGE_QWEN2_VOCAB_GGUF does not name llama.cpp's ggml-vocab-qwen2.gguf";
  }
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = load_tokenizer_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_llama_cpp(*tokenizer);
  // That file names only the first three added tokens; plain strings need none.
  const GoldenStrings strings = load_strings();
  const std::vector<Ids> expected = load_ids(kData + "/ids_mimo.bin");
  Comparison comparison;
  for (size_t i = 0; i < strings.plain.size(); ++i) {
    comparison.expect(strings.plain[i], ids_of(*tokenizer, strings.plain[i]), expected[i]);
  }
  EXPECT_EQ(comparison.different, 0);
}

// Ids of published tests of other implementations.
TEST(Golden, PublishedVectors) {
  struct Vector {
    const char* vocabulary;
    const char* text;
    Ids ids;
  };
  const Vector vectors[] = {
      {"phi-4", "hello world", {15339, 1917}},
      {"phi-4", "hello <|endoftext|>", {15339, 220, 100257}},
      {"phi-4", "rer", {38149}},
      {"phi-4", "'rer", {2351, 81}},
      {"phi-4", "today\n ", {31213, 198, 220}},
      {"phi-4", "today\n \n", {31213, 27907}},
      {"phi-4", "today\n  \n", {31213, 14211}},
      {"phi-4",
       " \u0085"
       "0",
       {220, 126, 227, 15}},
      {"phi-4", "👍", {9468, 239, 235}},
      {"mimo", " 100+ languages", {220, 16, 15, 15, 10, 15459}},
      {"mimo", "世界，你好！", {99489, 3837, 108386, 6313}},
  };
  for (const char* name : {"phi-4", "mimo"}) {
    const std::string directory = vocabulary_directory(name);
    if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
    const auto tokenizer = load_tokenizer_json(directory);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    for (const Vector& vector : vectors) {
      if (std::string_view(vector.vocabulary) != name) continue;
      EXPECT_EQ(ids_of(*tokenizer, vector.text), vector.ids) << vector.text;
    }
  }
}

// Not UTF-8: the bytes 20 EC 8B A4 ED are one token of cl100k, which a pre-tokenizer that sees
// code points cannot make in one piece; what counts is that they come back.
TEST(Golden, InvalidBytesOnRealVocabularies) {
  for (const char* name : {"phi-4", "phi-4-mini", "mimo"}) {
    const std::string directory = vocabulary_directory(name);
    if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
    const auto tokenizer = load_tokenizer_json(directory);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    for (const std::string text : {" \xEC\x8B\xA4\xED", "\xFF\xFE", "a\xC3(\x80 \xE4\xB8"}) {
      EXPECT_EQ(*tokenizer->decode(ids_of(*tokenizer, text)), text);
    }
  }
}

}  // namespace
}  // namespace midge
