// The ids of SentencePiece vocabularies against those of sentencepiece itself, of Hugging Face's
// tokenizers (strings with added tokens) and of llama.cpp, from every file that can hold one.
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/core/mapped_file.h"
#include "engine/formats/gguf/gguf.h"
#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "engine/tokenizer_files/tokenizer_json.h"
#include "engine/tokenizer_files/tokenizer_model.h"
#include "golden.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

const std::string kSmall = MIDGE_TEST_DATA "/tokenizer/sentencepiece";

constexpr const char* kNoLibrary = "this build has no libsentencepiece (MIDGE_WITH_SENTENCEPIECE)";

Result<Tokenizer> load_gguf(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  return load_tokenizer_gguf(file);
}

void expect_goldens(const Result<Tokenizer>& tokenizer, const std::string& name) {
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare_with_goldens(*tokenizer, name);
  expect_no_smuggling(*tokenizer);
}

TEST(SentencepieceGolden, TokenizerJson) {
  expect_goldens(load_tokenizer_json(kSmall), "sentencepiece");
}

TEST(SentencepieceGolden, Gguf) {
  expect_goldens(load_gguf(kSmall + "/vocabulary.gguf"), "sentencepiece");
}

TEST(SentencepieceGolden, TokenizerModel) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  expect_goldens(load_tokenizer_model(kSmall), "sentencepiece");
}

TEST(SentencepieceGolden, Phi3TokenizerModel) {
  if (!has_sentencepiece_library()) GTEST_SKIP() << kNoLibrary;
  const std::string directory = vocabulary_directory("phi-3");
  if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
  const auto tokenizer = load_tokenizer_model(directory);
  expect_goldens(tokenizer, "phi-3");
  compare_with_llama_cpp(*tokenizer, "phi-3");
}

TEST(SentencepieceGolden, Phi3TokenizerJson) {
  const std::string directory = vocabulary_directory("phi-3");
  if (!is_directory(directory)) GTEST_SKIP() << directory << " " << kHowToFetch;
  const auto tokenizer = load_tokenizer_json(directory);
  expect_goldens(tokenizer, "phi-3");
  compare_with_llama_cpp(*tokenizer, "phi-3");
}

TEST(SentencepieceGolden, Phi3Gguf) {
  const char* path = std::getenv("MIDGE_PHI3_VOCAB_GGUF");
  if (path == nullptr) {
    GTEST_SKIP() << "MIDGE_PHI3_VOCAB_GGUF does not name llama.cpp's ggml-vocab-phi-3.gguf";
  }
  const auto tokenizer = load_gguf(path);
  expect_goldens(tokenizer, "phi-3");
  compare_with_llama_cpp(*tokenizer, "phi-3");
  EXPECT_EQ(tokenizer->token_count(), 32011);  // the rows behind are padding
}

// The three files hold one vocabulary: all of a token but its id must agree as well.
TEST(SentencepieceGolden, TheFilesAgreeOnEveryToken) {
  const auto json = load_tokenizer_json(kSmall);
  const auto gguf = load_gguf(kSmall + "/vocabulary.gguf");
  ASSERT_TRUE(json.ok() && gguf.ok());
  std::vector<const Tokenizer*> others = {&*gguf};
  const auto model = load_tokenizer_model(kSmall);
  ASSERT_EQ(model.ok(), has_sentencepiece_library()) << model.status().message();
  if (model.ok()) others.push_back(&*model);
  for (const Tokenizer* other : others) {
    ASSERT_EQ(other->vocab_size(), json->vocab_size());
    for (int32_t id = 0; id < json->vocab_size(); ++id) {
      EXPECT_EQ(other->token_bytes(id), json->token_bytes(id)) << id;
      EXPECT_EQ(other->token_kind(id), json->token_kind(id)) << id;
    }
    ASSERT_EQ(other->added_tokens().size(), json->added_tokens().size());
    for (size_t i = 0; i < json->added_tokens().size(); ++i) {
      EXPECT_EQ(other->added_tokens()[i].rstrip, json->added_tokens()[i].rstrip) << i;
    }
    EXPECT_EQ(other->bos_id(), 1);
    EXPECT_EQ(other->eos_id(), json->eos_id());
    EXPECT_FALSE(other->add_bos());
    EXPECT_TRUE(other->space_prefix());
  }
}

TEST(SentencepieceGolden, DecodesWhatItEncodes) {
  const auto tokenizer = load_gguf(kSmall + "/vocabulary.gguf");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const GoldenStrings strings = load_golden_strings();
  for (const std::string& text : strings.plain) {
    ASSERT_EQ(*tokenizer->decode(ids_of(*tokenizer, text)), text);
  }
}

}  // namespace
}  // namespace midge
