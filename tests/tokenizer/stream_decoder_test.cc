#include "engine/tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include "test_vocabulary.h"

namespace midge {
namespace {

// Outputs of the calls for the single bytes of `text`, then of flush, separated by '|'.
std::string streamed(const Tokenizer& tokenizer, std::string_view text) {
  StreamDecoder decoder(&tokenizer);
  std::string all;
  for (const char byte : text) {
    EXPECT_TRUE(decoder.push(static_cast<uint8_t>(byte), &all).ok());
    all += "|";
  }
  decoder.flush(&all);
  return all;
}

TEST(StreamDecoder, HoldsBackIncompleteCharacters) {
  const auto tokenizer = parse_small();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(streamed(*tokenizer, "ab"), "a|b|");
  EXPECT_EQ(streamed(*tokenizer, "é!"), "|é|!|");
  EXPECT_EQ(streamed(*tokenizer, "中"), "||中|");
  EXPECT_EQ(streamed(*tokenizer, "👍"), "|||👍|");
  EXPECT_EQ(streamed(*tokenizer, "a\xF0\x9F"), "a|||\xF0\x9F");  // flushed at the end
}

TEST(StreamDecoder, InvalidBytesComeThrough) {
  const auto tokenizer = parse_small();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(streamed(*tokenizer, "\x80\xFF"), "\x80|\xFF|");
  EXPECT_EQ(streamed(*tokenizer, "\xC3x"), "|\xC3x|");
  EXPECT_EQ(streamed(*tokenizer, "\xED\xA0\x80"), "|\xED\xA0|\x80|");
}

TEST(StreamDecoder, OutputsTogetherAreTheDecodedText) {
  const auto tokenizer = parse_small();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const std::string text = "hello \xF0\x9F\x91 中👍\xFF é hello\xE4\xB8";
  std::string all;
  StreamDecoder decoder(&*tokenizer);
  for (const int32_t id : ids_of(*tokenizer, text)) ASSERT_TRUE(decoder.push(id, &all).ok());
  decoder.flush(&all);
  EXPECT_EQ(all, text);
}

TEST(StreamDecoder, SpecialTokensAndUnknownIds) {
  const auto tokenizer = parse_small();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  std::string text;
  StreamDecoder hiding(&*tokenizer);
  EXPECT_TRUE(hiding.push(300, &text).ok());
  EXPECT_EQ(text, "");
  EXPECT_TRUE(hiding.push(301, &text).ok());  // added, but not special
  EXPECT_EQ(text, "<tool>");
  StreamDecoder showing(&*tokenizer, false);
  EXPECT_TRUE(showing.push(300, &text).ok());
  EXPECT_EQ(text, "<tool><|end|>");
  for (const int32_t id : {-1, 270, 302}) {
    EXPECT_EQ(showing.push(id, &text).code(), StatusCode::kOutOfRange);
  }
  EXPECT_EQ(text, "<tool><|end|>");
}

}  // namespace
}  // namespace midge
