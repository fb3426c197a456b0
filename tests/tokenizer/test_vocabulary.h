// Small tokenizers for tests, and the directories of real ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// `byte` in the byte-level alphabet, as UTF-8.
std::string alphabet(uint8_t byte);
/// A string in the byte-level alphabet.
std::string alphabet(std::string_view bytes);

/// What can be changed in the tokenizer.json that `small_json` writes. The text of each field
/// stands in the document as it is.
struct SmallJson {
  std::string normalizer = "null";
  std::string pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|)"
                        R"( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";
  /// Replaces the Split of `pattern` and `behavior` if not empty.
  std::string first_step;
  std::string behavior = R"("behavior":"Isolated","invert":false)";
  std::string byte_level = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})";
  std::string post_processor = "null";
  std::string decoder = R"({"type":"ByteLevel"})";
  std::string added = R"({"id":300,"content":"<|end|>","special":true},)"
                      R"({"id":301,"content":"<tool>","special":false,"normalized":false})";
  std::string model_type = R"("BPE")";
  std::string model_extra;       ///< members, each with a comma at the end
  std::string vocabulary_extra;  ///< members, each with a comma before
  std::string missing_bytes;     ///< these have no token
  std::string merges = R"("h e","l l","he ll",["hell","o"])";
};

/// A tokenizer.json with bytes as ids 0..255, "he" 256, "ll" 257, "hell" 258, "hello" 259.
std::string small_json(const SmallJson& parts = {});

/// Parses it, with a tokenizer_config.json and a chat_template.jinja where not empty.
Result<Tokenizer> parse_small(const SmallJson& parts = {}, std::string_view config = {},
                              std::string_view chat_template = {});

/// Ids of a text; a failure of encode fails the test.
std::vector<int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text,
                            SpecialTokens special = SpecialTokens::kParse);

/// Directory of a real vocabulary ("phi-4", "phi-4-mini", "mimo"), which is not committed.
std::string vocabulary_directory(const std::string& name);
inline constexpr const char* kHowToFetch =
    "absent: run tools/vocab/fetch_vocabularies.py, or set MIDGE_VOCABULARIES to its output";

}  // namespace midge
