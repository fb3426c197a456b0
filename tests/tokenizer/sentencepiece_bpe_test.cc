// The rules of SentencePiece vocabularies on one of a few pieces.
#include "engine/tokenizer/sentencepiece_bpe.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/tokenizer/stream_decoder.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

// Bytes are ids 3 .. 258, as in real files.
int32_t byte_id(int byte) { return 3 + byte; }

struct Piece {
  const char* text;
  float score;
};

// Pieces get the ids from 259 on; added tokens are 0 "<unk>", 1 "<s>", 2 "<|user|>" (rstrip).
class SmallSentencepiece {
 public:
  TokenizerDefinition definition;

  explicit SmallSentencepiece(const std::vector<Piece>& pieces) {
    definition.name = "t";
    definition.family = TokenizerFamily::kSentencepiece;
    definition.merges_by_score = true;
    for (const char* content : {"<unk>", "<s>", "<|user|>"}) {
      AddedToken& token = definition.added.emplace_back();
      token.id = static_cast<int32_t>(definition.added.size()) - 1;
      token.content = content;
      token.special = true;
      token.rstrip = token.id == 2;
    }
    for (int byte = 0; byte < 256; ++byte) byte_texts_.push_back(format_string("<0x%02X>", byte));
    for (int byte = 0; byte < 256; ++byte) {
      definition.vocabulary.push_back(
          {byte_id(byte), byte_texts_[static_cast<size_t>(byte)], true});
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
      definition.vocabulary.push_back(
          {static_cast<int32_t>(259 + i), pieces[i].text, false, pieces[i].score});
    }
  }
  SmallSentencepiece(const SmallSentencepiece&) = delete;
  SmallSentencepiece& operator=(const SmallSentencepiece&) = delete;

  Tokenizer make() const {
    auto tokenizer = Tokenizer::create(definition);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    return *std::move(tokenizer);
  }
  std::string refusal() const {
    const auto tokenizer = Tokenizer::create(definition);
    EXPECT_FALSE(tokenizer.ok());
    return tokenizer.ok() ? std::string() : tokenizer.status().message();
  }

 private:
  std::vector<std::string> byte_texts_;
};

// 259 "▁", 260 a, 261 b, 262 "▁a", 263 "ab", 264 "▁▁", 265 é
const std::vector<Piece> kPieces = {{"\u2581", -10}, {"a", -11}, {"b", -12},
                                    {"\u2581a", -2}, {"ab", -1}, {"\u2581\u2581", -3},
                                    {"\u00e9", -13}};

TEST(SentencepieceBpe, ByteTokensAreSpelledInUpperCase) {
  EXPECT_EQ(byte_piece_value("<0x00>"), 0);
  EXPECT_EQ(byte_piece_value("<0xFF>"), 255);
  EXPECT_EQ(byte_piece_value("<0x1A>"), 26);
  for (const char* text : {"", "<0x0>", "<0xff>", "<0xG0>", "<0x000>", "0x00", "<0x00", "<1x00>"}) {
    EXPECT_EQ(byte_piece_value(text), -1) << text;
  }
}

TEST(SentencepieceBpe, TheHighestScoreIsMergedFirst) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  EXPECT_EQ(ids_of(tokenizer, "ab"), (Ids{259, 263}));  // "ab" before "▁a"
  EXPECT_EQ(ids_of(tokenizer, "aa"), (Ids{262, 260}));
  EXPECT_EQ(ids_of(tokenizer, "b a"), (Ids{259, 261, 262}));
}

TEST(SentencepieceBpe, OfEqualScoresTheLeftmostPairComesFirst) {
  const std::vector<Piece> pieces = {{"a", -9}, {"b", -9}, {"ab", -1}, {"ba", -1}, {"aba", -1}};
  SmallSentencepiece parts(pieces);
  parts.definition.rules.space_prefix = false;
  const Tokenizer tokenizer = parts.make();
  EXPECT_EQ(ids_of(tokenizer, "ab"), (Ids{261}));
  EXPECT_EQ(ids_of(tokenizer, "bab"), (Ids{262, 260}));
  EXPECT_EQ(ids_of(tokenizer, "aba"), (Ids{263}));
  EXPECT_EQ(ids_of(tokenizer, "baba"), (Ids{262, 262}));
}

TEST(SentencepieceBpe, ASpaceComesBeforeEveryText) {
  SmallSentencepiece parts(kPieces);
  const Tokenizer with = parts.make();
  EXPECT_EQ(ids_of(with, ""), Ids{});
  EXPECT_EQ(ids_of(with, "a"), Ids{262});
  EXPECT_EQ(ids_of(with, " a"), (Ids{259, 262}));
  EXPECT_EQ(ids_of(with, "a<s>a"), (Ids{262, 1, 262}));
  EXPECT_EQ(ids_of(with, "<s>"), Ids{1});
  parts.definition.rules.space_prefix = false;
  const Tokenizer without = parts.make();
  EXPECT_EQ(ids_of(without, "a"), Ids{260});
  EXPECT_EQ(ids_of(without, " a<s>a"), (Ids{262, 1, 260}));
}

TEST(SentencepieceBpe, TheSpaceSymbolInATextIsASpace) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  EXPECT_EQ(ids_of(tokenizer, "a\u2581a"), ids_of(tokenizer, "a a"));
  // Half of it is not.
  EXPECT_EQ(ids_of(tokenizer, "\xE2\x96"), (Ids{259, byte_id(0xE2), byte_id(0x96)}));
}

TEST(SentencepieceBpe, RemovesExtraSpacesWhereAsked) {
  SmallSentencepiece parts(kPieces);
  parts.definition.rules.remove_extra_whitespaces = true;
  const Tokenizer tokenizer = parts.make();
  EXPECT_EQ(ids_of(tokenizer, "  a   b  "), ids_of(tokenizer, "a b"));
  EXPECT_EQ(ids_of(tokenizer, "a b"), (Ids{262, 259, 261}));
  EXPECT_EQ(ids_of(tokenizer, "   "), Ids{});
  EXPECT_EQ(ids_of(tokenizer, "a\u2581 "), Ids{262});
  EXPECT_EQ(ids_of(tokenizer, "\u2581"), Ids{});
  EXPECT_EQ(ids_of(tokenizer, "\n"), (Ids{259, byte_id('\n')}));
}

TEST(SentencepieceBpe, BytesStandForWhatHasNoPiece) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  EXPECT_EQ(ids_of(tokenizer, "\u00e9"), (Ids{259, 265}));
  EXPECT_EQ(ids_of(tokenizer, "\u00e8"), (Ids{259, byte_id(0xC3), byte_id(0xA8)}));
  EXPECT_EQ(ids_of(tokenizer, "a\n"), (Ids{262, byte_id('\n')}));
  EXPECT_EQ(ids_of(tokenizer, "<0x0A>").size(), 7U);  // their spelling is just text
  for (const std::string_view text : {"\xFF\xC3", "a\xE2\x96 \x80", "a\x01"}) {
    EXPECT_EQ(*tokenizer.decode(ids_of(tokenizer, text)), text);
  }
}

TEST(SentencepieceBpe, AddedTokensTakeSpaceAlongAndComeFromNoText) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  EXPECT_EQ(ids_of(tokenizer, "<|user|>\n a"), (Ids{2, 262}));
  EXPECT_EQ(ids_of(tokenizer, "<s> a"), (Ids{1, 259, 262}));
  for (const int32_t id : ids_of(tokenizer, "<|user|>", SpecialTokens::kAsText)) EXPECT_GT(id, 2);
  Ids ids;
  const PromptPart parts[] = {{true, "<|user|>"}, {false, "\n"}, {false, "a"}, {true, "<s>"}};
  ASSERT_TRUE(tokenizer.encode_parts(parts, &ids).ok());
  EXPECT_EQ(ids, (Ids{2, 262, 1}));
}

TEST(SentencepieceBpe, DecodingDropsTheFirstSpaceOnly) {
  SmallSentencepiece parts(kPieces);
  const Tokenizer tokenizer = parts.make();
  EXPECT_EQ(*tokenizer.decode(Ids{262, 262}), "a a");
  EXPECT_EQ(*tokenizer.decode(Ids{264, 260}), " a");
  EXPECT_EQ(*tokenizer.decode(Ids{1, 262}), "<s> a");
  EXPECT_EQ(*tokenizer.decode(Ids{1, 262}, true), "a");
  EXPECT_EQ(*tokenizer.decode(Ids{byte_id(0xC3), byte_id(0xA8), 262}), "\u00e8 a");
  EXPECT_EQ(*tokenizer.decode(Ids{259}), "");
  parts.definition.rules.space_prefix = false;
  EXPECT_EQ(*parts.make().decode(Ids{262, 262}), " a a");
}

TEST(SentencepieceBpe, StreamsLikeDecode) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  const Ids ids = {1, 262, byte_id(0xC3), byte_id(0xA8), 259, byte_id(0xE2), 260, byte_id(0xF0)};
  for (const bool skip_special : {false, true}) {
    for (size_t count = 0; count <= ids.size(); ++count) {
      const Ids some(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count));
      StreamDecoder decoder(&tokenizer, skip_special);
      std::string text;
      for (const int32_t id : some) ASSERT_TRUE(decoder.push(id, &text).ok());
      decoder.flush(&text);
      EXPECT_EQ(text, *tokenizer.decode(some, skip_special));
    }
  }
  StreamDecoder decoder(&tokenizer);
  std::string text;
  ASSERT_TRUE(decoder.push(byte_id(0xC3), &text).ok());
  EXPECT_EQ(text, "");  // held back until the character is complete
  ASSERT_TRUE(decoder.push(byte_id(0xA8), &text).ok());
  EXPECT_EQ(text, "\u00e8");
}

TEST(SentencepieceBpe, AContinuedTextKeepsItsSpace) {
  const Tokenizer tokenizer = SmallSentencepiece(kPieces).make();
  StreamDecoder decoder(&tokenizer, true, true);
  std::string text;
  ASSERT_TRUE(decoder.push(262, &text).ok());
  ASSERT_TRUE(decoder.push(262, &text).ok());
  EXPECT_EQ(text, " a a");
}

TEST(SentencepieceBpe, RefusesBadVocabularies) {
  const auto with = [](Piece piece) {
    std::vector<Piece> pieces = kPieces;
    pieces.push_back(piece);
    return SmallSentencepiece(pieces).refusal();
  };
  EXPECT_EQ(with({"abc", -4}), "t: token 266 'abc': its character 'c' is no token");
  EXPECT_EQ(with({"a b", -4}),
            "t: token 266 'a b' is not a piece: it has a space, which pieces write as U+2581");
  EXPECT_EQ(with({"ab", -4}), "t: token ids 263 and 266 are both 'ab'");
  EXPECT_EQ(with({"", -4}), "t: token id 266 is empty");
  EXPECT_EQ(with({"aa", std::numeric_limits<float>::quiet_NaN()}),
            "t: score of token 266 is nan, expected a number");
  EXPECT_EQ(with({"aa", std::numeric_limits<float>::infinity()}),
            "t: score of token 266 is inf, expected a number");

  SmallSentencepiece parts(kPieces);
  parts.definition.vocabulary[65].text = "A";
  EXPECT_EQ(parts.refusal(), "t: byte token 68 is 'A', expected '<0x00>' .. '<0xFF>'");
  parts.definition.vocabulary[65].text = "<0x42>";
  EXPECT_EQ(parts.refusal(), "t: token ids 68 and 69 are both byte 0x42");
  parts.definition.vocabulary.erase(parts.definition.vocabulary.begin() + 65);
  EXPECT_EQ(parts.refusal(), "t: byte 0x41 has no token");
  parts.definition.vocabulary.erase(parts.definition.vocabulary.begin(),
                                    parts.definition.vocabulary.begin() + 255);
  EXPECT_EQ(parts.refusal(), "t: byte 0x00 has no token");

  SmallSentencepiece normalized(kPieces);
  normalized.definition.added[1].normalized = true;
  EXPECT_EQ(normalized.refusal(),
            "t: added token 1 '<s>' is sought in normalised text, expected 'normalized' false in a "
            "SentencePiece vocabulary");
}

// A file can ask for many long tokens; cutting all of them everywhere would take forever.
TEST(SentencepieceBpe, RefusesTokensThatTakeTooLongToCut) {
  std::vector<std::string> texts;
  for (size_t length = 1; length <= 1200; ++length) texts.push_back(std::string(length, 'a'));
  std::vector<Piece> pieces;
  for (const std::string& text : texts) pieces.push_back({text.c_str(), -1});
  EXPECT_NE(SmallSentencepiece(pieces).refusal().find("tokens are too long: "), std::string::npos);
}

}  // namespace
}  // namespace midge
