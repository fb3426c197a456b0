#include "engine/tokenizer/vocabulary.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

Vocabulary bytes_vocabulary(size_t size) {
  Vocabulary vocabulary(size);
  for (int32_t byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    EXPECT_TRUE(vocabulary.add(byte, std::string_view(&text, 1), TokenKind::kNormal).ok());
  }
  return vocabulary;
}

TEST(Vocabulary, FindsWhatWasAdded) {
  Vocabulary vocabulary = bytes_vocabulary(400);
  ASSERT_TRUE(vocabulary.add(300, "three hundred", TokenKind::kNormal).ok());
  ASSERT_TRUE(vocabulary.add(301, "<end>", TokenKind::kSpecial).ok());
  ASSERT_TRUE(vocabulary.index(ByteTokens::kAll).ok());
  EXPECT_EQ(vocabulary.size(), 400);
  EXPECT_EQ(vocabulary.find("three hundred"), 300);
  EXPECT_EQ(vocabulary.find("<end>"), -1);  // not a normal token
  EXPECT_EQ(vocabulary.find("absent"), -1);
  EXPECT_EQ(vocabulary.find(""), -1);
  EXPECT_EQ(vocabulary.byte_token(0xFF), 0xFF);
  EXPECT_EQ(vocabulary.bytes(300), "three hundred");
  EXPECT_EQ(vocabulary.bytes(299), "");
  EXPECT_EQ(vocabulary.kind(301), TokenKind::kSpecial);
  for (const int32_t id : {-1, 299, 400, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(vocabulary.kind(id), TokenKind::kNone) << id;
    EXPECT_EQ(vocabulary.bytes(id), "") << id;
  }
}

TEST(Vocabulary, RefusesBadTokens) {
  Vocabulary vocabulary(10);
  EXPECT_TRUE(vocabulary.add(1, "a", TokenKind::kNormal).ok());
  for (const Status& status :
       {vocabulary.add(1, "b", TokenKind::kNormal), vocabulary.add(-1, "b", TokenKind::kNormal),
        vocabulary.add(10, "b", TokenKind::kNormal), vocabulary.add(2, "", TokenKind::kNormal),
        vocabulary.add(2, std::string(kTokenBytesMax + 1, 'x'), TokenKind::kNormal)}) {
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile) << status.message();
  }
  EXPECT_TRUE(vocabulary.add(2, std::string(kTokenBytesMax, 'x'), TokenKind::kNormal).ok());
  EXPECT_EQ(vocabulary.bytes(2).size(), kTokenBytesMax);
}

TEST(Vocabulary, RefusesTwoTokensOfTheSameBytes) {
  Vocabulary vocabulary = bytes_vocabulary(300);
  ASSERT_TRUE(vocabulary.add(290, "a", TokenKind::kNormal).ok());
  const Status status = vocabulary.index(ByteTokens::kAll);
  EXPECT_EQ(status.message(), "token ids 97 and 290 are both 'a'");
}

// FNV-1a and MurmurHash3's finalizer: what everybody can compute.
uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

uint64_t known_hash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3ULL;
  }
  return mix(hash);
}

TEST(Vocabulary, TokensMadeToCollideAreOrdinaryTokens) {
  // 1,200 tokens that a table of 2^12 slots by a known hash would all put into one.
  constexpr int32_t kCount = 1200;
  Vocabulary vocabulary = bytes_vocabulary(256 + kCount);
  std::vector<std::string> tokens;
  for (size_t i = 0; tokens.size() < kCount; ++i) {
    std::string token("w");
    token += std::to_string(i);
    if (known_hash(token) % 4096 == 0) tokens.push_back(std::move(token));
  }
  for (int32_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(vocabulary.add(256 + i, tokens[static_cast<size_t>(i)], TokenKind::kNormal).ok());
  }
  const Status status = vocabulary.index(ByteTokens::kAll);
  ASSERT_TRUE(status.ok()) << status.message();
  for (int32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(vocabulary.find(tokens[static_cast<size_t>(i)]), 256 + i);
  }
}

Vocabulary all_bytes_but(int32_t missing) {
  Vocabulary vocabulary(256);
  for (int32_t byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    if (byte == missing) continue;
    EXPECT_TRUE(vocabulary.add(byte, std::string_view(&text, 1), TokenKind::kNormal).ok());
  }
  return vocabulary;
}

TEST(Vocabulary, NeedsEveryByte) {
  EXPECT_EQ(all_bytes_but(0xC0).index(ByteTokens::kAll).message(), "byte 0xc0 has no token");
}

TEST(Vocabulary, NeedsTheBytesOfText) {
  for (const int32_t byte :
       {0x09, 0x0A, 0x0D, 0x20, 0x61, 0x7E, 0x80, 0xBF, 0xC2, 0xF0, 0xF3, 0xF4}) {
    EXPECT_FALSE(all_bytes_but(byte).index(ByteTokens::kThoseOfText).ok()) << byte;
  }
  for (const int32_t byte : {0x00, 0x04, 0x0B, 0x1F, 0x7F, 0xC0, 0xC1, 0xF1, 0xF2, 0xF5, 0xFF}) {
    Vocabulary vocabulary = all_bytes_but(byte);
    EXPECT_TRUE(vocabulary.index(ByteTokens::kThoseOfText).ok()) << byte;
    EXPECT_EQ(vocabulary.byte_token(static_cast<uint8_t>(byte)), -1);
  }
}

}  // namespace
}  // namespace midge
