// SentencePiece vocabularies inside GGUF files: what is accepted, what is refused.
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/tokenizer_files/tokenizer_gguf.h"
#include "gguf_writer.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

// "<unk>", "<s>", "</s>", 256 bytes, then 259 "▁", 260 a, 261 "▁a", 262 "<|end|>", 263 padding.
struct SmallGguf {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  Ids types = {2, 3, 3};
  std::vector<float> scores;
  bool with_scores = true;
  bool with_types = true;
  GgufWriter extra;  // starts the file

  SmallGguf() {
    for (int byte = 0; byte < 256; ++byte) tokens.push_back(format_string("<0x%02X>", byte));
    types.resize(tokens.size(), 6);
    for (const char* text : {"\u2581", "a", "\u2581a"}) tokens.emplace_back(text);
    types.resize(tokens.size(), 1);
    tokens.insert(tokens.end(), {"<|end|>", "[PAD263]"});
    types.insert(types.end(), {4, 2});
    scores.resize(tokens.size());
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
  }

  Result<Tokenizer> load() const {
    GgufWriter writer = extra;
    writer.string("tokenizer.ggml.model", "llama");
    writer.strings("tokenizer.ggml.tokens", tokens);
    if (with_scores) writer.f32s("tokenizer.ggml.scores", scores);
    if (with_types) writer.i32s("tokenizer.ggml.token_type", types);
    writer.u32("tokenizer.ggml.bos_token_id", 1);
    writer.u32("tokenizer.ggml.eos_token_id", 2);
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

TEST(TokenizerGgufSentencepiece, Loads) {
  const auto tokenizer = SmallGguf().load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "a b<|end|>a<s>"), (Ids{261, 259, 3 + 'b', 262, 261, 1}));
  EXPECT_EQ(tokenizer->bos_id(), 1);
  EXPECT_TRUE(tokenizer->add_bos());  // the default
  EXPECT_EQ(tokenizer->token_kind(0), TokenKind::kSpecial);
  EXPECT_EQ(tokenizer->token_kind(3), TokenKind::kByte);
  EXPECT_EQ(tokenizer->token_kind(262), TokenKind::kAdded);
  EXPECT_FALSE(tokenizer->has_token(263));
  EXPECT_EQ(tokenizer->token_count(), 263);
}

TEST(TokenizerGgufSentencepiece, FollowsTheKeys) {
  SmallGguf parts;
  parts.extra.boolean("tokenizer.ggml.add_space_prefix", false);
  parts.extra.boolean("tokenizer.ggml.remove_extra_whitespaces", true);
  parts.extra.boolean("tokenizer.ggml.add_bos_token", false);
  const auto tokenizer = parts.load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, " a   a "), (Ids{260, 261}));
  EXPECT_FALSE(tokenizer->add_bos());
  EXPECT_FALSE(tokenizer->space_prefix());
}

// Files do not tell this flag; the tokens of the chat template do.
TEST(TokenizerGgufSentencepiece, Phi3TokensTakeSpaceAlong) {
  SmallGguf parts;
  EXPECT_EQ(ids_of(*parts.load(), "<|end|>\na"), (Ids{262, 259, 3 + '\n', 260}));
  for (const char* name : {"<|user|>", "<|assistant|>", "<|endoftext|>"}) {
    parts.tokens.emplace_back(name);
    parts.types.push_back(3);
    parts.scores.push_back(-1000);
  }
  const auto tokenizer = parts.load();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "<|user|>\na<|end|>\n<|assistant|>\n"), (Ids{264, 261, 262, 265}));
  EXPECT_EQ(ids_of(*tokenizer, "<|endoftext|> a"), (Ids{266, 259, 261}));
}

TEST(TokenizerGgufSentencepiece, RefusesContradictions) {
  const StatusCode invalid = StatusCode::kInvalidFile;
  SmallGguf parts;
  parts.scores.pop_back();
  expect_refused(parts, invalid, "263 token scores, expected 264");
  parts.with_scores = false;
  expect_refused(parts, invalid, "'tokenizer.ggml.scores'");
  parts = SmallGguf();
  parts.types.push_back(1);
  expect_refused(parts, invalid, "265 token types, expected 264");
  parts.with_types = false;
  expect_refused(parts, invalid, "'tokenizer.ggml.token_type'");
  for (const int32_t type : {0, 7, -1}) {
    parts = SmallGguf();
    parts.types[260] = type;
    expect_refused(parts, invalid,
                   format_string("token 260 'a' has type %d, expected 1 .. 6", type));
  }
  parts = SmallGguf();
  parts.tokens[260].clear();
  expect_refused(parts, invalid, "token id 260 is empty");
  parts = SmallGguf();
  parts.tokens[262].clear();
  expect_refused(parts, invalid, "added token 262 is empty");
  parts = SmallGguf();
  parts.types[3 + 0x80] = 5;
  expect_refused(parts, invalid, "byte 0x80 has no token");
  parts = SmallGguf();
  parts.tokens[3] = "<0x100>";
  expect_refused(parts, invalid, "byte token 3 is '<0x100>', expected '<0x00>' .. '<0xFF>'");
  parts = SmallGguf();
  parts.scores[260] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(parts, invalid, "score of token 260 is nan, expected a number");
  parts = SmallGguf();
  parts.types[1] = 5;
  expect_refused(parts, invalid, "bos token id 1 has no token");
}

TEST(TokenizerGgufSentencepiece, RefusesIdsOutOfRange) {
  for (const uint32_t id : {264U, 4294967295U}) {
    SmallGguf parts;
    parts.extra.u32("tokenizer.ggml.eot_token_id", id);
    EXPECT_EQ(parts.load().status().code(), StatusCode::kInvalidFile) << id;
  }
}

TEST(TokenizerGgufSentencepiece, RefusesNormalisersTables) {
  SmallGguf parts;
  parts.extra.i32s("tokenizer.ggml.precompiled_charsmap", {1, 2});
  expect_refused(parts, StatusCode::kUnsupported, "has 'tokenizer.ggml.precompiled_charsmap'");
}

}  // namespace
}  // namespace midge
