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
#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "golden.h"
#include "test_vocabulary.h"
#include "tests/harness/real_model.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

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

INSTANTIATE_TEST_SUITE_P(Golden, RealVocabulary,
                         testing::Values("phi-4", "phi-4-mini", "mimo", "smollm2", "phi-3"),
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
  for (const std::string& text : load_golden_strings().plain) {
    const auto decoded = tokenizer->decode(ids_of(*tokenizer, text));
    ASSERT_TRUE(decoded.ok());
    if (!nfc) {
      ASSERT_EQ(*decoded, text);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, BundledVocabulary, testing::Values("tiny-phi", "tiny-mimo"),
                         test_name);

TEST(Golden, LlamaCppVectorsOnTheQwen2Vocabulary) {
  const std::string directory = vocabulary_directory("mimo");
  if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
  const auto tokenizer = load_tokenizer_json(directory);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_llama_cpp(*tokenizer, "qwen2");
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
  compare_with_llama_cpp(*tokenizer, "qwen2");
  // That file names only the first three added tokens; plain strings need none.
  const GoldenStrings strings = load_golden_strings();
  const std::vector<Ids> expected = load_golden_ids("mimo");
  IdComparison comparison;
  for (size_t i = 0; i < strings.plain.size(); ++i) {
    comparison.expect(strings.plain[i], ids_of(*tokenizer, strings.plain[i]), expected[i]);
  }
  EXPECT_EQ(comparison.different, 0);
}

TEST(Golden, TheRealModelGivesTheIdsOfHuggingFace) {
  if (!test::has_real_model()) {
    GTEST_SKIP() << test::real_model_path() << " " << test::kHowToFetchModel;
  }
  const auto file = GgufFile::open(test::real_model_path());
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = load_tokenizer_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_goldens(*tokenizer, "smollm2");
  expect_no_smuggling(*tokenizer);
  std::string missing;
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    if (tokenizer->bytes_without_token({&text, 1}) != 0) missing += text;
  }
  EXPECT_EQ(missing,
            "\x04\x06\x13\x14\x16\x1D\xC0\xC1\xF1\xF2\xF5\xF6\xF7\xF8\xF9\xFA\xFB\xFC\xFD\xFE\xFF");
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
