#include "engine/tokenizer_files/tokenizer_json.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

Status status_of(const SmallJson& parts, std::string_view config = {}) {
  return parse_small(parts, config).status();
}

// The message, after checking the code.
std::string refusal(const SmallJson& parts, StatusCode code, std::string_view config = {}) {
  const Status status = status_of(parts, config);
  EXPECT_EQ(status.code(), code) << status.message();
  return status.message();
}

Status parse_text(std::string_view text) {
  return parse_tokenizer_json("t.json", text, "c.json", {}, {}).status();
}

TEST(TokenizerJson, ReadsBothFormsOfMerges) {
  SmallJson strings;
  strings.merges = R"("h e","l l","he ll","hell o")";
  SmallJson arrays;
  arrays.merges = R"(["h","e"],["l","l"],["he","ll"],["hell","o"])";
  for (const SmallJson& parts : {strings, arrays}) {
    const auto tokenizer = parse_small(parts);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    EXPECT_EQ(ids_of(*tokenizer, "hello hell"), (Ids{259, ' ', 258}));
  }
}

TEST(TokenizerJson, AcceptsEquivalentForms) {
  SmallJson parts;
  parts.behavior = R"("behavior":"Removed","invert":true)";
  EXPECT_TRUE(status_of(parts).ok());
  parts.post_processor = R"({"type":"ByteLevel","trim_offsets":true})";
  EXPECT_TRUE(status_of(parts).ok());
  parts.normalizer = R"({"type":"Sequence","normalizers":[{"type":"NFC"}]})";
  const auto tokenizer = parse_small(parts);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "e\u0301"), (Ids{0xC3, 0xA9}));
  parts.normalizer = R"({"type":"Sequence","normalizers":[]})";
  EXPECT_TRUE(status_of(parts).ok());
  parts.model_extra =
      R"("byte_fallback":false,"unk_token":null,"dropout":null,"end_of_word_suffix":"",)";
  EXPECT_TRUE(status_of(parts).ok());
  parts.added = "";
  EXPECT_TRUE(status_of(parts).ok());
}

TEST(TokenizerJson, RefusesOtherKindsByName) {
  const auto expect = [](const SmallJson& parts, const char* message) {
    EXPECT_EQ(refusal(parts, StatusCode::kUnsupported), message);
  };
  SmallJson parts;
  parts.model_type = R"("Unigram")";
  expect(parts, "t.json: model type is 'Unigram', expected 'BPE'");
  parts = {};
  parts.model_extra = R"("byte_fallback":true,)";
  expect(parts,
         "t.json: normalizer is '', expected 'Prepend Replace' or 'Replace' of spaces by U+2581");
  parts = {};
  parts.model_extra = R"("dropout":0.1,)";
  expect(parts, "t.json: model dropout is 'not zero', expected none");
  parts = {};
  parts.model_extra = R"("end_of_word_suffix":"</w>",)";
  expect(parts, "t.json: end_of_word_suffix is '</w>', expected none");
  parts = {};
  parts.normalizer = R"({"type":"Lowercase"})";
  expect(parts, "t.json: normalizer is 'Lowercase', expected none or 'NFC'");
  parts = {};
  parts.normalizer = R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]})";
  expect(parts, "t.json: normalizer is 'Sequence', expected none or 'NFC'");
  parts = {};
  parts.behavior = R"("behavior":"MergedWithPrevious","invert":false)";
  expect(parts,
         "t.json: split behavior is 'MergedWithPrevious', expected 'Isolated', or 'Removed' "
         "inverted");
  parts = {};
  parts.byte_level = R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":false})";
  expect(parts, "t.json: ByteLevel add_prefix_space is 'true', expected false");
  parts = {};
  parts.byte_level = R"({"type":"ByteLevel","add_prefix_space":false})";
  expect(parts, "t.json: ByteLevel use_regex is 'true', expected false");
  parts = {};
  parts.byte_level = R"({"type":"Digits"})";
  expect(parts, "t.json: pre_tokenizer step 1 is 'Digits', expected 'ByteLevel'");
  parts = {};
  parts.first_step = R"({"type":"Punctuation"})";
  expect(parts, "t.json: pre_tokenizer step 0 is 'Punctuation', expected 'Split' or 'Digits'");
  parts.first_step = R"({"type":"Digits"})";
  expect(parts, "t.json: Digits individual_digits is 'false', expected true");
  parts.first_step = R"({"type":"Digits","individual_digits":true})";
  expect(parts, "t.json: ByteLevel use_regex is 'false', expected true");
  parts = {};
  parts.missing_bytes = "\x04";
  parts.model_extra = R"("unk_token":"he",)";
  expect(parts,
         "t.json: byte 0x04 has no token and would become the unknown token, expected a token for "
         "every byte or no unknown token");
  parts = {};
  parts.post_processor = R"({"type":"TemplateProcessing"})";
  expect(parts, "t.json: post_processor is 'TemplateProcessing', expected 'ByteLevel'");
  parts = {};
  parts.decoder = R"({"type":"Metaspace"})";
  expect(parts, "t.json: decoder is 'Metaspace', expected 'ByteLevel'");
}

TEST(TokenizerJson, NeverRunsForeignExpressions) {
  SmallJson parts;
  parts.pattern = "(a+)+$";
  EXPECT_NE(refusal(parts, StatusCode::kUnsupported).find("t.json: pre-tokenizer expression"),
            std::string::npos);
}

TEST(TokenizerJson, RefusesBadVocabularies) {
  const auto expect = [](const char* extra, const char* message) {
    SmallJson parts;
    parts.vocabulary_extra = extra;
    EXPECT_EQ(refusal(parts, StatusCode::kInvalidFile), message);
  };
  expect(R"(,"x1":-1)", "t.json: the id of token 'x1' is not an integer in 0..4194303");
  expect(R"(,"x1":2147483648)", "t.json: the id of token 'x1' is not an integer in 0..4194303");
  expect(R"(,"x1":4194304)", "t.json: the id of token 'x1' is not an integer in 0..4194303");
  expect(R"(,"x1":260.5)", "t.json: the id of token 'x1' is not an integer in 0..4194303");
  expect(R"(,"x1":"260")", "t.json: the id of token 'x1' is not an integer in 0..4194303");
  expect(R"(,"x1":18446744073709551616)", "t.json: not valid JSON: Problem while parsing a number");
  expect(R"(,"x1":259)", "t.json: token id 259 is both 'hello' and 'x1'");
  expect(R"(,"hello":260)", "t.json: key 'hello' is there twice in 'vocab'");
  expect(R"(,"":260)", "t.json: token id 260 is empty");
  expect(R"(,"a b":260)", "t.json: token 260 'a b' is not in the byte-level alphabet");
  expect(R"(,"<|end|>":260)", "t.json: token '<|end|>' is id 260 and added token 300");
  expect(R"(,"x1":300)", "t.json: token id 300 is both '<|end|>' and 'x1'");
}

TEST(TokenizerJson, AcceptsSparseIds) {
  SmallJson parts;
  parts.vocabulary_extra = R"(,"x1":4194303)";
  const auto tokenizer = parse_small(parts);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->vocab_size(), 4194304);
  EXPECT_EQ(tokenizer->token_count(), 263);
}

TEST(TokenizerJson, RefusesBadAddedTokens) {
  const auto expect = [](const char* added, const char* message) {
    SmallJson parts;
    parts.added = added;
    EXPECT_EQ(refusal(parts, StatusCode::kInvalidFile), message);
  };
  expect(R"({"id":300,"content":""})", "t.json: added token 300 is empty");
  expect(R"({"id":300})", "t.json: 'content' is missing, expected a string");
  expect(R"({"content":"<a>"})", "t.json: 'id' is missing, expected an integer");
  expect(R"({"id":-1,"content":"<a>"})", "t.json: 'id' is -1, expected 0..4194303");
  expect(R"({"id":4294967296,"content":"<a>"})", "t.json: 'id' is 4294967296, expected 0..4194303");
  expect(R"("<a>")", "t.json: added_tokens[0] is a string, expected an object");
  expect(R"({"id":300,"content":"<a>","special":1})",
         "t.json: 'special' is an integer, expected true or false");
  expect(R"({"id":300,"content":"<a>"},{"id":301,"content":"<a>"})",
         "t.json: added tokens 300 and 301 are both '<a>'");
  expect(R"({"id":300,"content":"<a>"},{"id":300,"content":"<b>"})",
         "t.json: token id 300 is both '<a>' and '<b>'");
  expect(R"({"id":97,"content":"<a>"})", "t.json: token id 97 is both '<a>' and 'a'");
  expect(R"({"id":97,"content":"a"})", "t.json: byte 0x61 has no token");
}

TEST(TokenizerJson, RefusesBadMerges) {
  const auto expect = [](const char* merges, StatusCode code, const char* message) {
    SmallJson parts;
    parts.merges = merges;
    EXPECT_EQ(refusal(parts, code), message);
  };
  const StatusCode invalid = StatusCode::kInvalidFile;
  expect(R"("he")", invalid, "t.json: merge 0 'he' is not two parts");
  expect(R"("h e l")", invalid, "t.json: merge 0 'h e l' is not two parts");
  expect(R"(["h"])", invalid, "t.json: merge 0 is neither a string nor an array of two strings");
  expect(R"(["h",1])", invalid, "t.json: merge 0 is neither a string nor an array of two strings");
  expect("7", invalid, "t.json: merge 0 is neither a string nor an array of two strings");
  expect(R"("h e","xy z")", invalid,
         "t.json: merge 1 'xy z': a part of it is not in the vocabulary");
  expect(R"(" e")", invalid, "t.json: merge 0 ' e': a part of it is not in the vocabulary");
  expect(R"("h l")", invalid, "t.json: merge 0 'h l': its result is not in the vocabulary");
  expect(R"("h e","l l","h e")", invalid, "t.json: merges 0 and 2 are the same pair");
  expect(R"(["h","e\u0301"])", invalid,
         "t.json: merge 0 'h e\u0301': not in the byte-level alphabet");
}

TEST(TokenizerJson, RefusesMergesThatMakeAddedTokens) {
  SmallJson parts;
  parts.added = R"({"id":300,"content":"ab","special":true})";
  parts.merges = R"("a b")";
  EXPECT_EQ(refusal(parts, StatusCode::kUnsupported),
            "t.json: merge 0 'a b': its result is an added token");
}

TEST(TokenizerJson, RefusesDamagedFiles) {
  const std::string whole = small_json();
  for (const size_t length :
       {size_t{0}, size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_EQ(parse_text(whole.substr(0, length)).code(), StatusCode::kInvalidFile) << length;
  }
  for (const char* text : {"[]", "null", "{}", "\"x\"", "{\"model\":1}", "\xFF\xFE"}) {
    EXPECT_EQ(parse_text(text).code(), StatusCode::kInvalidFile) << text;
  }
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100000; ++i) deep += "[";
  EXPECT_EQ(parse_text(deep).code(), StatusCode::kInvalidFile);
  SmallJson parts;
  parts.vocabulary_extra = R"(,"\ud800":260)";  // half of a surrogate pair
  EXPECT_EQ(status_of(parts).code(), StatusCode::kInvalidFile);
  parts.vocabulary_extra = ",\"\xC3\":260";
  EXPECT_EQ(status_of(parts).code(), StatusCode::kInvalidFile);
}

TEST(TokenizerJson, ReadsTheConfig) {
  const auto tokenizer = parse_small(
      {}, R"({"bos_token":null,"eos_token":{"content":"<|end|>"},"chat_template":"x"})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), 300);
  EXPECT_EQ(tokenizer->stop_ids().size(), 1U);
  EXPECT_EQ(tokenizer->chat_template(), "x");
  EXPECT_FALSE(tokenizer->add_bos());
}

// What transformers writes where there is no limit, int(1e30): more digits than the parser takes.
TEST(TokenizerJson, ReadsNumbersWithoutLimit) {
  const auto tokenizer = parse_small(
      {},
      R"({"model_max_length":1000000000000000019884624838656,"eos_token":"<|end|>",)"
      R"("chat_template":"1000000000000000019884624838656 \" 1000000000000000019884624838656"})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->eos_id(), 300);
  EXPECT_EQ(tokenizer->chat_template(),
            "1000000000000000019884624838656 \" 1000000000000000019884624838656");
}

TEST(TokenizerJson, ReadsTemplateLists) {
  const auto tokenizer = parse_small({}, R"({"chat_template":[{"name":"tool_use","template":"a"},)"
                                         R"({"name":"default","template":"b"}]})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(tokenizer->chat_template(), "b");
  EXPECT_EQ(parse_small({}, R"({"chat_template":"b"})", "c")->chat_template(), "c");
}

TEST(TokenizerJson, ConfigReplacesFlagsOfAddedTokens) {
  EXPECT_EQ(ids_of(*parse_small(), "<|end|> he"), (Ids{300, ' ', 256}));
  const auto tokenizer = parse_small(
      {}, R"({"added_tokens_decoder":{"300":{"content":"<|end|>","special":true,"rstrip":true},)"
          R"("302":{"content":"<new>","special":true}},"eos_token":"<new>"})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ(ids_of(*tokenizer, "<|end|> he<new>"), (Ids{300, 256, 302}));
  EXPECT_EQ(tokenizer->eos_id(), 302);
}

TEST(TokenizerJson, RefusesBadConfigs) {
  EXPECT_EQ(refusal({}, StatusCode::kInvalidFile,
                    R"({"added_tokens_decoder":{"300":{"content":"<other>"}}})"),
            "c.json: added_tokens_decoder 300 is '<other>', but '<|end|>' in t.json");
  for (const char* key : {"", "x", "-1", "3 ", "4194304", "99999999999999999999"}) {
    const std::string config =
        std::string(R"({"added_tokens_decoder":{")") + key + R"(":{"content":"<a>"}}})";
    EXPECT_EQ(refusal({}, StatusCode::kInvalidFile, config),
              std::string("c.json: added_tokens_decoder ") + key + " is not an id in 0..4194303");
  }
  EXPECT_EQ(refusal({}, StatusCode::kInvalidFile, R"({"eos_token":"<none>"})"),
            "c.json: 'eos_token' is '<none>', which is not in the vocabulary");
  EXPECT_EQ(refusal({}, StatusCode::kInvalidFile, R"({"eos_token":7})"),
            "c.json: 'eos_token' is an integer, expected a string");
  EXPECT_EQ(refusal({}, StatusCode::kInvalidFile, R"({"chat_template":{}})"),
            "c.json: 'chat_template' is an object, expected a string");
  EXPECT_EQ(refusal({}, StatusCode::kInvalidFile, R"({"chat_template":["x"]})"),
            "c.json: chat_template[0] is a string, expected an object");
}

TEST(TokenizerJson, LoadsDirectories) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) /
                                       ("tokenizer_json_test_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const Status missing = load_tokenizer_json(folder.string()).status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("tokenizer.json"), std::string::npos);
  const auto write = [&folder](const char* name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  write("tokenizer.json", small_json());
  EXPECT_TRUE(load_tokenizer_json(folder.string()).ok());
  write("tokenizer_config.json", R"({"eos_token":"<|end|>","chat_template":"a"})");
  EXPECT_EQ(load_tokenizer_json(folder.string())->eos_id(), 300);
  write("chat_template.jinja", "b");
  EXPECT_EQ(load_tokenizer_json(folder.string())->chat_template(), "b");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace midge
