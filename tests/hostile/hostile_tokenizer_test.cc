// Hostile tokenizer.json files, one test for each item of docs/hostile-input.md.
#include <gtest/gtest.h>

#include "engine/tokenizer_files/tokenizer_json.h"
#include "tests/harness/golden.h"
#include "tests/harness/refusal.h"
#include "tests/harness/temp_dir.h"
#include "tests/tokenizer/test_vocabulary.h"

namespace midge {
namespace {

using test::expect_refused;
using test::TempDir;

constexpr StatusCode kInvalid = StatusCode::kInvalidFile;
using Parts = std::initializer_list<std::string_view>;

void refuse_text(const std::string& text, Parts parts, StatusCode code = kInvalid) {
  const TempDir dir;
  dir.write("tokenizer.json", text);
  expect_refused([&] { return load_tokenizer_json(dir.path()).status(); }, text.size(), code,
                 "tokenizer.json: ", parts);
}

void refuse(const SmallJson& json, Parts parts, StatusCode code = kInvalid) {
  refuse_text(small_json(json), parts, code);
}

SmallJson with_vocabulary(const std::string& extra) {
  SmallJson json;
  json.vocabulary_extra = extra;
  return json;
}

SmallJson with_added(const std::string& added) {
  SmallJson json;
  json.added = added;
  return json;
}

TEST(HostileTokenizer, CatastrophicExpression) {
  SmallJson json;
  json.pattern = "(a+)+$";
  refuse(json, {"pre-tokenizer expression '(a+)+$'", "not one of the known ones"},
         StatusCode::kUnsupported);
}

TEST(HostileTokenizer, SparseIdsTakeNoMemory) {
  // Accepted as far as it goes; the file is refused for its last merge.
  SmallJson json = with_vocabulary(",\"x1\":4194303");
  json.merges = R"("h e","q z")";
  refuse(json, {"merge 1 'q z'", "not in the vocabulary"});
}

TEST(HostileTokenizer, DuplicateIds) {
  refuse(with_vocabulary(",\"x1\":259"), {"token id 259 is both 'hello' and 'x1'"});
}

TEST(HostileTokenizer, NegativeIds) {
  refuse(with_vocabulary(",\"x1\":-1"), {"token 'x1'", "is not an integer in 0..4194303"});
}

TEST(HostileTokenizer, IdsBeyond31Bits) {
  for (const char* id : {"2147483648", "4294967296", "18446744073709551615"}) {
    refuse(with_vocabulary(std::string(",\"x1\":") + id),
           {"token 'x1'", "is not an integer in 0..4194303"});
  }
}

TEST(HostileTokenizer, EmptyAddedToken) {
  refuse(with_added(R"({"id":300,"content":""})"), {"added token 300 is empty"});
}

TEST(HostileTokenizer, LongAddedToken) {
  refuse(with_added(R"({"id":300,"content":")" + std::string(1025, 'x') + "\"}"),
         {"added token 300 has 1025 bytes", "the limit is 1024"});
}

TEST(HostileTokenizer, ManyLongAddedTokens) {
  // 4 MB of them that share nothing.
  std::string added;
  for (int i = 0; i < 4096; ++i) {
    if (i > 0) added += ',';
    added += format_string(R"({"id":%d,"content":"%04x)", 300 + i, i * 40503 & 0xFFFF);
    added += std::string(1016, static_cast<char>('a' + i % 26)) + "\"}";
  }
  refuse(with_added(added), {"added tokens have more than 262144 bytes together"});
}

TEST(HostileTokenizer, ManyAddedTokens) {
  std::string added = R"({"id":300,"content":"x"})";
  for (int i = 1; i < 300'000; ++i) {
    added += format_string(R"(,{"id":%d,"content":"x"})", 300 + i);
  }
  refuse(with_added(added), {"more than 65536 added tokens"});
  // In the config beside it, too.
  const TempDir dir;
  dir.write("tokenizer.json", small_json({}));
  std::string config = R"({"added_tokens_decoder":{"1000":{"content":"x"})";
  for (int i = 1; i < 120'000; ++i) {
    config += format_string(R"(,"%d":{"content":"x"})", 1000 + i);
  }
  dir.write("tokenizer_config.json", config + "}}");
  expect_refused([&] { return load_tokenizer_json(dir.path()).status(); }, config.size(), kInvalid,
                 "tokenizer_config.json: ", {"more than 65536 added tokens"});
}

TEST(HostileTokenizer, AsManyAddedTokensAsAreAllowed) {
  // Loaded, and refused for a merge: what the tables of the tokens take.
  std::string added;
  for (int i = 0; i < 256; ++i) {
    if (i > 0) added += ',';
    added += format_string(R"({"id":%d,"content":"%04x)", 300 + i, i * 40503 & 0xFFFF);
    added += std::string(1000, static_cast<char>('a' + i % 26)) + "\"}";
  }
  SmallJson json = with_added(added);
  json.merges += ",\"q z\"";
  refuse(json, {"'q z'", "not in the vocabulary"});
}

TEST(HostileTokenizer, AddedTokenWithTheIdOfAnother) {
  refuse(with_added(R"({"id":97,"content":"<a>"})"), {"token id 97 is both '<a>' and 'a'"});
}

TEST(HostileTokenizer, MergeWithAnUnknownResult) {
  SmallJson json;
  json.merges = R"("h l")";
  refuse(json, {"merge 0 'h l'", "its result is not in the vocabulary"});
}

TEST(HostileTokenizer, LoneSurrogates) {
  refuse(with_vocabulary(",\"\\ud800\":260"), {"not valid JSON"});
}

TEST(HostileTokenizer, BytesThatAreNotUtf8) {
  refuse(with_vocabulary(",\"\xC3\":260"), {"not valid JSON", "UTF-8"});
}

TEST(HostileTokenizer, DeepNesting) {
  refuse_text("{\"a\":" + std::string(1'000'000, '['), {"not valid JSON"});
}

TEST(HostileTokenizer, LongFiles) {
  refuse_text(std::string((24 << 20) + 1, ' '), {"25165825 bytes", "expected at most 25165824"});
  std::string many = "{\"a\":[1";
  while (many.size() < (20 << 20)) many += ",1";
  refuse_text(many + "]}", {"takes up to", "when parsed, expected at most 58720256"});
  refuse_text("{\"a\":\"" + std::string(23 << 20, 'x') + "\"}", {"'model' is missing"});
}

TEST(HostileTokenizer, NumbersOfManyDigits) {
  std::string text = "{\"a\":[0";
  while (text.size() < (18 << 20)) text += ",9999999999999999999.9e289";
  refuse_text(text + "]}", {"more than 19 digits", "expected at most 1000 such numbers"});
}

TEST(HostileTokenizer, ManyTokens) {
  // As many as the limit on parsed JSON allows, and wrong at the very end. Word "w123" is "w12"
  // and "3".
  std::string extra;
  SmallJson json;
  for (int i = 0; i < 430'000; ++i) {
    const std::string word = format_string("w%zu", static_cast<size_t>(i));
    const size_t last = word.size() - 1;
    extra += ",\"" + word + "\":" + std::to_string(1000 + i);
    json.merges += ",\"" + word.substr(0, last) + " " + word.substr(last) + "\"";
  }
  json.vocabulary_extra = extra;
  json.merges += ",\"w0 ~\"";
  refuse(json, {"merge 430004 'w0 ~'", "its result is not in the vocabulary"});
}

TEST(HostileTokenizer, AsLargeAsTheLargestPublished) {
  // Phi-4-mini's: 200,000 tokens, merges as arrays, a line for each string. The limits are above.
  const std::string break_line = "\n          ";
  std::string extra;
  SmallJson json;
  for (int i = 0; i < 200'000; ++i) {
    const std::string word = format_string("w%zu", static_cast<size_t>(i));
    const size_t last = word.size() - 1;
    extra += "," + break_line + "\"" + word + "\": " + std::to_string(1000 + i);
    json.merges += ",\n        [" + break_line + "\"" + word.substr(0, last) + "\"," + break_line +
                   "\"" + word.substr(last) + "\"\n        ]";
  }
  json.vocabulary_extra = extra;
  const TempDir dir;
  dir.write("tokenizer.json", small_json(json));
  MIDGE_ASSERT_OK(load_tokenizer_json(dir.path()));
  json.merges += R"(,["w0","~"])";
  refuse(json, {"merge 200004 'w0 ~'", "its result is not in the vocabulary"});
}

TEST(HostileTokenizer, ARealVocabularyWithOneBadMerge) {
  const std::string path = vocabulary_directory("phi-4-mini") + "/tokenizer.json";
  if (!is_regular_file(path)) GTEST_SKIP() << path << ' ' << kHowToFetch;
  std::string text = test::read_bytes(path);
  // The last merge: two strings before the last three closing brackets.
  const size_t end = text.rfind('"');
  text[end - 1] = '\x01';
  refuse_text(text, {"not valid JSON"});
  text[end - 1] = '~';
  refuse_text(text, {"merge ", "not in the vocabulary"});
}

// A file of messages may have 16 MiB, in one word or in many. The context decides, and early.
TEST(HostileTokenizer, PromptsBeyondTheContext) {
  const auto tokenizer = parse_small();
  MIDGE_ASSERT_OK(tokenizer);
  std::string words = "he";
  while (words.size() < (15 << 20)) words += " e";
  const struct {
    std::string text;
    size_t tokens_max;
    StatusCode code;
  } prompts[] = {
      {std::string(15 << 20, 'e'), 4096, StatusCode::kContextFull},
      {words, 4096, StatusCode::kContextFull},
      {std::string(15 << 20, 'e'), 1 << 24, StatusCode::kOutOfRange},
      {words, 4 << 20, StatusCode::kContextFull},
      {std::string((1 << 20) - 2, 'l') + words, 4 << 20, StatusCode::kContextFull},
  };
  for (const auto& prompt : prompts) {
    const std::vector<PromptPart> parts = {{false, prompt.text}};
    const auto open = [&] {
      std::vector<int32_t> ids;
      return tokenizer->encode_parts(parts, &ids, prompt.tokens_max);
    };
    expect_refused(open, prompt.text.size(), prompt.code, "bytes", {"expected at most "});
  }
}

}  // namespace
}  // namespace midge
