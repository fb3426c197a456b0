#include "engine/tokenizer_files/tokenizer_gguf.h"

#include <cstring>
#include <optional>

#include <gtest/gtest.h>

#include "gguf_writer.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

// What the small GGUF of these tests contains; tests change parts of it.
struct SmallGguf {
  std::string model = "gpt2";
  std::string pre = "dbrx";
  std::vector<std::string> tokens;
  Ids types;
  std::vector<std::string> merges = {"h e", "l l", "he ll", "hell o"};
  uint32_t eos = 260;
  std::optional<bool> add_bos = false;
  std::optional<uint32_t> bos;

  // Bytes 0..255, four words, two added tokens, two rows of padding.
  SmallGguf() {
    for (int byte = 0; byte < 256; ++byte) tokens.push_back(alphabet(static_cast<uint8_t>(byte)));
    for (const char* word : {"he", "ll", "hell", "hello"}) tokens.emplace_back(word);
    types.assign(tokens.size(), 1);
    for (const char* added : {"<|im_end|>", "<tool>", "[PAD262]", "[PAD263]"}) {
      tokens.emplace_back(added);
    }
    types.insert(types.end(), {3, 4, 5, 4});
  }

  Result<Tokenizer> load() const {
    GgufWriter writer;
    writer.string("tokenizer.ggml.model", model);
    if (!pre.empty()) writer.string("tokenizer.ggml.pre", pre);
    writer.strings("tokenizer.ggml.tokens", tokens);
    if (!types.empty()) writer.i32s("tokenizer.ggml.token_type", types);
    writer.strings("tokenizer.ggml.merges", merges);
    writer.u32("tokenizer.ggml.eos_token_id", eos);
    writer.u32("tokenizer.ggml.eot_token_id", 261);
    if (bos.has_value()) writer.u32("tokenizer.ggml.bos_token_id", *bos);
    if (add_bos.has_value()) writer.boolean("tokenizer.ggml.add_bos_token", *add_bos);
    writer.string("tokenizer.chat_template", "template");
    const auto file = writer.open();
    EXPECT_TRUE(file.ok()) << file.status().message();
    if (!file.ok()) return file.status();
    return load_tokenizer_gguf(*file);
  }
};

void expect_refused(const SmallGguf& parts, StatusCode code, const std::string& message) {
  const Status status = parts.load().status();
  EXPECT_EQ(status.code(), code);
  EXPECT_NE(status.message().find(".gguf: "), std::string::npos) << status.message();
  EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
}

// Files of Llama 3 from before that key was written mean yes, as llama.cpp takes them.
TEST(TokenizerGguf, FilesThatDoNotSayWhetherTextsBegin) {
  SmallGguf parts;
  parts.bos = 260;
  parts.add_bos = std::nullopt;
  for (const auto& [pre, begins] : {std::pair("dbrx", false), std::pair("llama-bpe", true)}) {
    parts.pre = pre;
    const auto tokenizer = parts.load();
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ(tokenizer->add_bos(), begins) << pre;
  }
  parts.add_bos = false;
  EXPECT_FALSE(parts.load()->add_bos());
}

TEST(TokenizerGguf, LoadsByteLevelVocabularies) {
  const auto tokenizer = SmallGguf().load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "hello<|im_end|>hell<tool>"), (Ids{259, 260, 258, 261}));
  EXPECT_EQ(tokenizer->token_kind(260), TokenKind::kSpecial);
  EXPECT_EQ(tokenizer->token_kind(261), TokenKind::kAdded);
  EXPECT_EQ(tokenizer->eos_id(), 260);
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(Ids(tokenizer->stop_ids().begin(), tokenizer->stop_ids().end()), (Ids{260, 261}));
  EXPECT_EQ(tokenizer->chat_template(), "template");
}

TEST(TokenizerGguf, PaddingIsNoToken) {
  const auto tokenizer = SmallGguf().load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->token_count(), 262);
  EXPECT_FALSE(tokenizer->has_token(262));
  EXPECT_FALSE(tokenizer->has_token(263));
  for (const char* text : {"[PAD262]", "[PAD263]"}) {
    EXPECT_EQ(ids_of(*tokenizer, text).size(), std::strlen(text));
  }
}

TEST(TokenizerGguf, NormalizesForQwen2Only) {
  SmallGguf parts;
  EXPECT_EQ(ids_of(*parts.load(), "e\u0301").size(), 3U);
  parts.pre = "qwen2";
  EXPECT_EQ(ids_of(*parts.load(), "e\u0301").size(), 2U);
}

TEST(TokenizerGguf, TypesMayBeAbsent) {
  SmallGguf parts;
  parts.tokens.resize(260);
  parts.types.clear();
  parts.eos = 97;
  GgufWriter writer;
  writer.string("tokenizer.ggml.model", "gpt2");
  writer.string("tokenizer.ggml.pre", "dbrx");
  writer.strings("tokenizer.ggml.tokens", parts.tokens);
  writer.strings("tokenizer.ggml.merges", parts.merges);
  const auto file = writer.open();
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = load_tokenizer_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "hello"), Ids{259});
  EXPECT_TRUE(tokenizer->stop_ids().empty());
}

TEST(TokenizerGguf, RefusesFilesWithoutAVocabulary) {
  GgufWriter none;
  none.string("general.name", "x");
  GgufWriter no_vocab;
  no_vocab.string("tokenizer.ggml.model", "no_vocab");
  for (const GgufWriter* writer : {&none, &no_vocab}) {
    const auto file = writer->open();
    ASSERT_TRUE(file.ok()) << file.status().message();
    const Status status = load_tokenizer_gguf(*file).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_NE(status.message().find("holds no vocabulary"), std::string::npos);
  }
}

TEST(TokenizerGguf, RefusesOtherKindsByName) {
  SmallGguf parts;
  parts.model = "bert";
  expect_refused(parts, StatusCode::kUnsupported, "'bert', expected 'gpt2'");
  parts = SmallGguf();
  parts.pre = "deepseek-coder";
  expect_refused(parts, StatusCode::kUnsupported, "'deepseek-coder' is not one of the known ones");
  parts.pre = "";
  expect_refused(parts, StatusCode::kInvalidFile, "'tokenizer.ggml.pre'");
}

TEST(TokenizerGguf, RefusesContradictions) {
  const StatusCode invalid = StatusCode::kInvalidFile;
  SmallGguf parts;
  parts.types.pop_back();
  expect_refused(parts, invalid, "263 token types, expected 264");
  parts = SmallGguf();
  parts.types[259] = 6;
  expect_refused(parts, invalid, "token 259 'hello' has type 6, expected 1, 3, 4 or 5");
  parts = SmallGguf();
  parts.tokens[259] = "";
  expect_refused(parts, invalid, "token id 259 is empty");
  parts = SmallGguf();
  parts.tokens[260] = "";
  expect_refused(parts, invalid, "added token 260 is empty");
  parts = SmallGguf();
  parts.tokens[259] = "hell";
  expect_refused(parts, invalid, "token ids 258 and 259 are both 'hell'");
  parts = SmallGguf();
  parts.merges[1] = "ll";
  expect_refused(parts, invalid, "merge 1 'll' is not two parts");
  parts.merges[1] = "q q";
  expect_refused(parts, invalid, "merge 1 'q q': its result is not in the vocabulary");
  parts = SmallGguf();
  parts.eos = 264;
  expect_refused(parts, invalid, "end token id 264 has no token");
  parts.eos = 4294967295U;
  expect_refused(parts, invalid, "'tokenizer.ggml.eos_token_id'");
  parts = SmallGguf();
  parts.tokens.clear();
  parts.types.clear();
  expect_refused(parts, invalid, "0 tokens");
  parts = SmallGguf();
  parts.add_bos = true;
  expect_refused(parts, invalid, "asks for a bos token but names none");
}

}  // namespace
}  // namespace midge
