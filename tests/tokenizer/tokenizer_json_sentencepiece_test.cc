// The steps around the model in a tokenizer.json of a SentencePiece vocabulary.
#include <string>

#include <gtest/gtest.h>

#include "engine/tokenizer_files/tokenizer_json.h"
#include "test_vocabulary.h"

namespace midge {
namespace {

using Ids = std::vector<int32_t>;

// Parts of a tokenizer.json with 0 "<s>", bytes from 1 on, 257 "▁", 258 a, 259 "▁a".
struct Parts {
  std::string normalizer = R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
                           R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";
  std::string pre_tokenizer = "null";
  std::string post_processor = "null";
  std::string ignore_merges = "false";
  std::string decoder =
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
      R"({"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";

  Result<Tokenizer> parse(const std::string& config = {}) const {
    std::string json = R"({"added_tokens":[{"id":0,"content":"<s>","special":true}],"normalizer":)";
    json += normalizer + R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"post_processor":)";
    json += post_processor + R"(,"decoder":)" + decoder;
    json += R"(,"model":{"type":"BPE","byte_fallback":true,"unk_token":"<s>",)";
    json += R"("ignore_merges":)" + ignore_merges + R"(,"vocab":{"<s>":0,)";
    for (int byte = 0; byte < 256; ++byte) {
      json += format_string("\"<0x%02X>\":%d,", byte, byte + 1);
    }
    json += R"("▁":257,"a":258,"▁a":259},"merges":["▁ a"]}})";
    return parse_tokenizer_json("t.json", json, "c.json", config, {});
  }
};

constexpr const char* kReplace = R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})";
constexpr const char* kRestore =
    R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
    R"({"type":"ByteFallback"},{"type":"Fuse"}]})";

TEST(TokenizerJsonSentencepiece, WithAndWithoutASpaceBeforeTheText) {
  Parts parts;
  const auto with = parts.parse();
  ASSERT_TRUE(with.ok()) << with.status().message();
  EXPECT_EQ(ids_of(*with, "a a<s>b"), (Ids{259, 259, 0, 257, 'b' + 1}));
  EXPECT_EQ(*with->decode(Ids{259, 259}), "a a");
  EXPECT_FALSE(with->add_bos());
  parts.normalizer = kReplace;
  parts.decoder = kRestore;
  const auto without = parts.parse();
  ASSERT_TRUE(without.ok()) << without.status().message();
  EXPECT_EQ(ids_of(*without, "a a"), (Ids{258, 259}));
  EXPECT_EQ(*without->decode(Ids{259, 259}), " a a");
}

TEST(TokenizerJsonSentencepiece, BosByTheTemplateOrTheConfiguration) {
  Parts parts;
  parts.post_processor =
      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},)"
      R"({"Sequence":{"id":"A","type_id":0}}]})";
  auto tokenizer = parts.parse();
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_TRUE(tokenizer->add_bos());
  EXPECT_EQ(tokenizer->bos_id(), 0);
  tokenizer = parts.parse(R"({"add_bos_token":false})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_FALSE(tokenizer->add_bos());
}

TEST(TokenizerJsonSentencepiece, RefusesOtherSteps) {
  const auto expect = [](const Parts& parts, StatusCode code, const std::string& message) {
    const Status status = parts.parse().status();
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message().find("t.json: " + message), 0U) << status.message();
  };
  const StatusCode unsupported = StatusCode::kUnsupported;
  Parts parts;
  for (const char* normalizer :
       {"null", R"({"type":"NFKC"})", R"({"type":"Sequence","normalizers":[]})"}) {
    parts.normalizer = normalizer;
    expect(parts, unsupported, "normalizer is '");
  }
  parts.normalizer = R"({"type":"Replace","pattern":{"Regex":" "},"content":"▁"})";
  expect(parts, StatusCode::kInvalidFile, "'String' is missing");
  parts = Parts();
  parts.pre_tokenizer = R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})";
  expect(parts, unsupported, "pre_tokenizer is 'Metaspace', expected none");
  parts = Parts();
  parts.decoder = kRestore;  // does not take the space away that the normalizer adds
  expect(parts, unsupported, "decoder is '");
  parts = Parts();
  parts.normalizer = kReplace;
  expect(parts, unsupported, "decoder is '");
  parts = Parts();
  parts.ignore_merges = "true";
  expect(parts, unsupported, "model ignore_merges is 'true', expected false beside byte_fallback");
  parts = Parts();
  parts.post_processor = R"({"type":"ByteLevel"})";
  expect(parts, unsupported, "post_processor is 'ByteLevel'");
  for (
      const char* single :
      {"[]", R"([{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<s>"}}])",
       R"([{"SpecialToken":{"id":"<s>"}},{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}])"}) {
    parts.post_processor = std::string(R"({"type":"TemplateProcessing","single":)") + single + "}";
    expect(parts, unsupported, "post_processor is 'a template of ");
  }
  parts.post_processor = R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>"}},)"
                         R"({"Sequence":{"id":"A"}}]})";
  expect(parts, StatusCode::kInvalidFile, "post_processor puts '<x>' first");
}

}  // namespace
}  // namespace midge
