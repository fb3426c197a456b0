#include "engine/tokenizer/tokenizer.h"

#include <cstdio>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "engine/tokenizer_files/tokenizer_json.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

Tokenizer small(const SmallJson& parts = {}) {
  auto tokenizer = parse_small(parts);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return std::move(*tokenizer);
}

TEST(Tokenizer, EncodesAndDecodes) {
  const Tokenizer tokenizer = small();
  EXPECT_EQ(ids_of(tokenizer, "hello"), Ids{259});
  EXPECT_EQ(ids_of(tokenizer, "hell he"), (Ids{258, ' ', 256}));
  EXPECT_EQ(ids_of(tokenizer, "hello<|end|>hell"), (Ids{259, 300, 258}));
  EXPECT_EQ(ids_of(tokenizer, ""), Ids{});
  EXPECT_EQ(*tokenizer.decode(Ids{259, 300, 301, 258}), "hello<|end|><tool>hell");
  EXPECT_EQ(*tokenizer.decode(Ids{259, 300, 301, 258}, true), "hello<tool>hell");
  EXPECT_EQ(tokenizer.decode(Ids{259, 260}).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(tokenizer.decode(Ids{-1}).status().message(),
            "token id -1 has no token (ids are below 302)");
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = small();
  EXPECT_EQ(tokenizer.vocab_size(), 302);
  EXPECT_EQ(tokenizer.token_count(), 262);
  EXPECT_TRUE(tokenizer.has_token(259));
  EXPECT_FALSE(tokenizer.has_token(260));
  EXPECT_FALSE(tokenizer.has_token(302));
  EXPECT_EQ(tokenizer.id_of("hello"), 259);
  EXPECT_EQ(tokenizer.id_of("<|end|>"), 300);
  EXPECT_EQ(tokenizer.id_of("\xFF"), 255);
  EXPECT_EQ(tokenizer.id_of("absent"), -1);
  EXPECT_EQ(tokenizer.token_kind(300), TokenKind::kSpecial);
  EXPECT_EQ(tokenizer.token_kind(301), TokenKind::kAdded);
  EXPECT_EQ(tokenizer.find_added("hello"), nullptr);
  EXPECT_EQ(tokenizer.bos_id(), -1);
}

TEST(Tokenizer, TextNeverBecomesAnAddedToken) {
  const Tokenizer tokenizer = small();
  for (const char* text : {"<|end|>", "<tool>", "a<tool>b", "<|end|><|end|>"}) {
    for (const int32_t id : ids_of(tokenizer, text, SpecialTokens::kAsText)) {
      EXPECT_EQ(tokenizer.token_kind(id), TokenKind::kNormal) << text;
    }
    EXPECT_EQ(*tokenizer.decode(ids_of(tokenizer, text, SpecialTokens::kAsText)), text);
  }
}

// An added token that the vocabulary repeats, as a word that a piece could be.
TEST(Tokenizer, TextNeverBecomesAnAddedTokenOfTheVocabulary) {
  SmallJson parts;
  parts.added = R"({"id":300,"content":"stop","special":true})";
  parts.vocabulary_extra = R"(,"stop":300)";
  parts.model_extra = R"("ignore_merges":true,)";
  const Tokenizer tokenizer = small(parts);
  EXPECT_EQ(ids_of(tokenizer, "stop"), Ids{300});
  EXPECT_EQ(ids_of(tokenizer, "stop", SpecialTokens::kAsText), (Ids{'s', 't', 'o', 'p'}));
}

// As Hugging Face's tokenizers: the neighbours of a byte without a token meet and may merge.
TEST(Tokenizer, LeavesOutBytesWithoutToken) {
  SmallJson parts;
  parts.missing_bytes = "\x04\xC0\xFF";
  const Tokenizer tokenizer = small(parts);
  EXPECT_EQ(ids_of(tokenizer, "a\x04 b"), (Ids{'a', ' ', 'b'}));
  EXPECT_EQ(ids_of(tokenizer, "\x04"), Ids{});
  EXPECT_EQ(ids_of(tokenizer, "\xC0\xFF"), Ids{});
  EXPECT_EQ(tokenizer.bytes_without_token("h\x04"
                                          "ello\xC0"),
            2U);
  EXPECT_EQ(small().bytes_without_token("h\x04"
                                        "ello\xC0"),
            0U);
}

TEST(Tokenizer, DigitsAndGpt2Pattern) {
  SmallJson parts;
  parts.first_step = R"({"type":"Digits","individual_digits":true})";
  parts.byte_level = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";
  parts.merges = R"("h e","l l","he ll",["hell","o"],"1 2","Ġ 1")";
  parts.vocabulary_extra = R"(,"12":260,"Ġ1":261)";
  EXPECT_EQ(ids_of(small(parts), "hello 12"), (Ids{259, ' ', '1', '2'}));
}

TEST(Tokenizer, IgnoreMergesTakesWholePieces) {
  SmallJson parts;
  parts.vocabulary_extra = R"(,"world":260)";  // no merge makes it
  EXPECT_EQ(ids_of(small(parts), "world").size(), 5U);
  parts.model_extra = R"("ignore_merges":true,)";
  EXPECT_EQ(ids_of(small(parts), "world"), Ids{260});
}

TEST(Tokenizer, NormalizedTokensMatchAfterNormalization) {
  SmallJson parts;
  parts.normalizer = R"({"type":"NFC"})";
  parts.added = R"({"id":300,"content":"e\u0301","normalized":true},)"
                R"({"id":301,"content":"o\u0301","normalized":false})";
  const Tokenizer tokenizer = small(parts);
  EXPECT_EQ(ids_of(tokenizer, "e\u0301"), Ids{300});
  EXPECT_EQ(ids_of(tokenizer, "\u00E9"), Ids{300});
  EXPECT_EQ(ids_of(tokenizer, "o\u0301"), Ids{301});
  EXPECT_EQ(ids_of(tokenizer, "\u00F3"), (Ids{0xC3, 0xB3}));
  EXPECT_EQ(ids_of(tokenizer, "o\u0301", SpecialTokens::kAsText), (Ids{0xC3, 0xB3}));
  EXPECT_EQ(ids_of(tokenizer, "e\u0301", SpecialTokens::kAsText), (Ids{0xC3, 0xA9}));
}

TEST(Tokenizer, PromptPartsJoinText) {
  const Tokenizer tokenizer = small();
  const std::vector<PromptPart> parts = {
      {false, "he"}, {false, "llo"}, {true, "<|end|>"}, {false, "<|end|>"}, {true, "<tool>"}};
  Ids ids;
  ASSERT_TRUE(tokenizer.encode_parts(parts, &ids).ok());
  EXPECT_EQ(ids, (Ids{259, 300, '<', '|', 'e', 'n', 'd', '|', '>', 301}));
  const std::vector<PromptPart> unknown = {{false, "he"}, {true, "<|none|>"}};
  const Status status = tokenizer.encode_parts(unknown, &ids);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "the vocabulary has no added token '<|none|>'");
  EXPECT_EQ(ids.size(), 10U);
}

// A limit changes nothing but what is beyond it.
TEST(Tokenizer, NoMoreTokensThanThereIsRoomFor) {
  const Tokenizer tokenizer = small();  // the longest token has five bytes
  const std::string text = "hello hello he<|end|> llo";
  const std::vector<PromptPart> parts = {
      {false, "hello he"}, {true, "<|end|>"}, {false, "llo"}, {true, "<tool>"}};
  const auto encode_all = [&](int form, Ids* ids, size_t tokens_max) {
    if (form == 2) return tokenizer.encode_parts(parts, ids, tokens_max);
    const auto special = form == 0 ? SpecialTokens::kParse : SpecialTokens::kAsText;
    return tokenizer.encode(text, special, ids, tokens_max);
  };
  for (int form = 0; form < 3; ++form) {
    Ids all = {7, 8};
    ASSERT_TRUE(encode_all(form, &all, kAnyTokenCount).ok());
    for (size_t room = 0; room <= all.size() + 2; ++room) {
      Ids ids = {7, 8};
      const Status status = encode_all(form, &ids, room);
      EXPECT_EQ(status.code(), room < all.size() ? StatusCode::kContextFull : StatusCode::kOk)
          << form << ' ' << room << ' ' << status.message();
      EXPECT_EQ(ids, room < all.size() ? (Ids{7, 8}) : all) << form << ' ' << room;
    }
  }
}

TEST(Tokenizer, WordsThatAreMergedHaveALimitWhereTokensDo) {
  const Tokenizer tokenizer = small();
  const std::string word((size_t{1} << 20) + 1, 'e');
  Ids ids;
  const Status status = tokenizer.encode(word, SpecialTokens::kAsText, &ids, word.size());
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(status.message(),
            "1048577 bytes of text without a place to cut them, expected at most 1048576");
  EXPECT_TRUE(ids.empty());
  EXPECT_TRUE(tokenizer.encode(word, SpecialTokens::kAsText, &ids).ok());
  EXPECT_EQ(ids.size(), word.size());
}

TEST(Tokenizer, PromptPartsStripAsEncodeDoes) {
  SmallJson json;
  json.added = R"({"id":300,"content":"<r>","special":true,"rstrip":true},)"
               R"({"id":301,"content":"<l>","special":true,"lstrip":true})";
  const Tokenizer tokenizer = small(json);
  const std::vector<PromptPart> parts = {
      {true, "<r>"}, {false, " \n a "}, {true, "<l>"}, {false, " b"}};
  Ids ids;
  ASSERT_TRUE(tokenizer.encode_parts(parts, &ids).ok());
  EXPECT_EQ(ids, ids_of(tokenizer, "<r> \n a <l> b"));
  EXPECT_EQ(ids, (Ids{300, 'a', 301, ' ', 'b'}));
}

// Any bytes come back, in both modes; most of these are not UTF-8.
TEST(Tokenizer, BytesSurviveARoundTrip) {
  const Tokenizer tokenizer = small();
  std::mt19937_64 random(11);
  constexpr char kBytes[] = "he llo<|end|>\n\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x91\x8D\x80\xFF\xCC\x81'";
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (size_t length = random() % 20; length > 0; --length) {
      text += round % 2 == 0 ? static_cast<char>(random() & 0xFF)
                             : kBytes[random() % (sizeof(kBytes) - 1)];
    }
    for (const SpecialTokens special : {SpecialTokens::kParse, SpecialTokens::kAsText}) {
      ASSERT_EQ(*tokenizer.decode(ids_of(tokenizer, text, special)), text) << round;
    }
  }
}

TEST(Tokenizer, LimitsHaveNames) {
  TokenizerDefinition definition;
  definition.name = "t";
  definition.merges.resize(kMergesMax + 1);
  EXPECT_EQ(Tokenizer::create(definition).status().message(),
            "t: 2097153 merges, the limit is 2097152");
  definition.merges.clear();
  definition.vocabulary.resize(static_cast<size_t>(kVocabularySizeMax) + 1);
  EXPECT_EQ(Tokenizer::create(definition).status().message(),
            "t: 4194305 tokens, the limit is 4194304");
  definition.vocabulary.clear();
  AddedToken token;
  token.content = "x";
  definition.added.assign(kAddedTokensMax + 1, token);
  EXPECT_EQ(Tokenizer::create(definition).status().message(), "t: more than 65536 added tokens");
  token.content = std::string(kAddedTokenBytesMax, 'x');
  definition.added.assign(kAddedTokensBytesMax / kAddedTokenBytesMax + 1, token);
  EXPECT_EQ(Tokenizer::create(definition).status().message(),
            "t: added tokens have more than 262144 bytes together");
  token.content += 'x';
  definition.added.assign(1, token);
  EXPECT_EQ(Tokenizer::create(definition).status().message(),
            "t: added token -1 has 1025 bytes, the limit is 1024");
}

TEST(Tokenizer, ServesThreads) {
  const Tokenizer tokenizer = small();
  const std::string text = "hello hell <|end|> e\u0301 hello";
  const Ids expected = ids_of(tokenizer, text);
  std::vector<std::thread> threads;
  std::vector<int> different(4, 0);
  for (int& count : different) {
    threads.emplace_back([&tokenizer, &text, &expected, &count] {
      for (int round = 0; round < 200; ++round) {
        Ids ids;
        const Status status = tokenizer.encode(text, SpecialTokens::kParse, &ids);
        count += status.ok() && ids == expected ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace midge
