// Models with a SentencePiece vocabulary, whose texts drop the space that they begin with. Their
// tokens keep it.
#include "engine/formats/json.h"
#include "server/schema/grammar.h"
#include "tests/harness/checkpoint.h"
#include "tests/server/service_harness.h"

namespace midge::test {
namespace {

// Added tokens 0 to 4, bytes from 5 on, then pieces.
std::string tokenizer_json() {
  std::string json = R"({"added_tokens":[)";
  const char* const added[] = {"<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"};
  int id = 0;
  for (const char* content : added) {
    json += format_string("%s{\"id\":%d,\"content\":\"%s\",\"special\":true}", id == 0 ? "" : ",",
                          id, content);
    ++id;
  }
  json +=
      R"(],"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
      R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,)"
      R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":)"
      R"({"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]},"decoder":)"
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
      R"({"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},)"
      R"("model":{"type":"BPE","byte_fallback":true,"unk_token":"<s>","vocab":{"<s>":0)";
  id = 5;
  for (int byte = 0; byte < 256; ++byte) json += format_string(",\"<0x%02X>\":%d", byte, id++);
  for (const char* piece :
       {"▁", "a", "c", "t", "d", "o", "g", "ca", "cat", "▁cat", "do", "dog", "▁dog"}) {
    json += format_string(",\"%s\":%d", piece, id++);
  }
  return json + R"(},"merges":["c a","ca t","d o","do g","▁ cat","▁ dog"]}})";
}

class SentencepieceService : public ServiceFixture {
 protected:
  void SetUp() override {
    CheckpointShape shape;
    shape.hidden = 64;
    shape.intermediate = 96;
    shape.heads = 4;
    shape.head_dim = 16;
    shape.vocab = 288;
    shape.context = 512;
    path_ = write_checkpoint(dir_, shape, 7);
    dir_.write("tokenizer.json", tokenizer_json());
    dir_.write(
        "tokenizer_config.json",
        R"({"chat_template":"{% for message in messages %}{{ '<|' + message['role'] + '|>' + )"
        R"(message['content'] + '<|end|>' }}{% endfor %}{% if add_generation_prompt %})"
        R"({{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"})");
    serve();
  }

  TempDir dir_;
};

// The start token does not stand in the text, nor does the space that the encoder adds.
TEST_F(SentencepieceService, OffsetsAreThoseOfTheText) {
  const std::string answer = post(
      "/v1/completions", R"({"prompt":"cat dog cat","max_tokens":0,"echo":true,"logprobs":1})");
  ASSERT_EQ(status_of(answer), 200) << answer;
  EXPECT_NE(answer.find(R"("text":"cat dog cat")"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("tokens":["<s>"," cat"," dog"," cat"])"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("text_offset":[0,0,3,7])"), std::string::npos) << answer;
}

TEST_F(SentencepieceService, GrammarsSeeTheSpacesOfTokens) {
  if (!has_grammars()) GTEST_SKIP() << "built without llguidance";
  for (int seed = 0; seed < 40; ++seed) {
    const std::string answer = post(
        "/v1/chat/completions",
        R"({"messages":[{"role":"user","content":"cat"}],"max_tokens":100,"temperature":1,"seed":)" +
            std::to_string(seed) +
            R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)"
            R"({"type":"object","properties":{"dog":{"enum":["cat","dog"]}},"required":["dog"],)"
            R"("additionalProperties":false}}}})");
    ASSERT_EQ(status_of(answer), 200) << answer;
    const auto document = JsonDocument::parse("answer", body_of(answer));
    ASSERT_TRUE(document.ok()) << answer;
    std::string_view text;
    ASSERT_EQ(document->root()->members().at_pointer("/choices/0/message/content").get(text),
              simdjson::SUCCESS);
    const auto object = JsonDocument::parse("text", text);
    ASSERT_TRUE(object.ok()) << text;
    const auto kind = object->root()->string("dog");
    ASSERT_TRUE(kind.ok()) << text;
    EXPECT_TRUE(*kind == "cat" || *kind == "dog") << text;
  }
}

}  // namespace
}  // namespace midge::test
