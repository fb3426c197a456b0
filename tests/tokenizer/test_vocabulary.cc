#include "test_vocabulary.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "engine/core/mapped_file.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/unicode.h"
#include "engine/tokenizer_files/tokenizer_json.h"

namespace midge {

std::string alphabet(uint8_t byte) {
  std::string text;
  append_utf8(alphabet_code_point(byte), &text);
  return text;
}

std::string alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += alphabet(static_cast<uint8_t>(byte));
  return text;
}

std::string small_json(const SmallJson& parts) {
  std::string json = R"({"version":"1.0","added_tokens":[)" + parts.added + "],";
  json += R"("normalizer":)" + parts.normalizer + ",";
  json += R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[)";
  json += parts.first_step.empty() ? R"({"type":"Split","pattern":{"Regex":")" + parts.pattern +
                                         R"("},)" + parts.behavior + "}"
                                   : parts.first_step;
  json += "," + parts.byte_level + "]},";
  json += R"("post_processor":)" + parts.post_processor + R"(,"decoder":)" + parts.decoder + ",";
  json += R"("model":{"type":)" + parts.model_type + "," + parts.model_extra + R"("vocab":{)";
  for (int byte = 0; byte < 256; ++byte) {
    if (parts.missing_bytes.find(static_cast<char>(byte)) != std::string::npos) continue;
    std::string key = alphabet(static_cast<uint8_t>(byte));
    if (key == "\"" || key == "\\") key = "\\" + key;
    json += "\"" + key + "\":" + std::to_string(byte) + ",";
  }
  json += R"("he":256,"ll":257,"hell":258,"hello":259)" + parts.vocabulary_extra + "},";
  json += R"("merges":[)" + parts.merges + "]}}";
  return json;
}

Result<Tokenizer> parse_small(const SmallJson& parts, std::string_view config,
                              std::string_view chat_template) {
  return parse_tokenizer_json("t.json", small_json(parts), "c.json", config, chat_template);
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text,
                            SpecialTokens special) {
  std::vector<int32_t> ids;
  const Status status = tokenizer.encode(text, special, &ids);
  EXPECT_TRUE(status.ok()) << status.message();
  return ids;
}

std::string vocabulary_directory(const std::string& name) {
  const char* root = std::getenv("MIDGE_VOCABULARIES");
  return join_path(root != nullptr ? root : MIDGE_SOURCE_DIR "/build/vocabularies", name);
}

}  // namespace midge
