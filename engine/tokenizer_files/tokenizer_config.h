// tokenizer_config.json and chat_template.jinja, which accompany every vocabulary file of a Hugging
// Face directory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Largest of these files that is read; real ones have up to 20 kB.
inline constexpr uint64_t kTokenizerConfigBytesMax = uint64_t{4} << 20;

/// Texts of the two files; empty where there is none.
struct TokenizerConfigFiles {
  std::string name;  ///< path of tokenizer_config.json, for messages
  std::string config;
  std::string chat_template;
};

/// Reads them. Errors: io_error, invalid_file (too large).
Result<TokenizerConfigFiles> load_tokenizer_config(const std::string& directory);

/// Adds to `definition` what a tokenizer_config.json says: added tokens and their flags, bos, eos,
/// the chat template, and for SentencePiece vocabularies whether bos comes first. `name` stands in
/// messages. Errors: invalid_file.
Status read_tokenizer_config(const std::string& name, std::string_view text,
                             TokenizerDefinition* definition);

}  // namespace midge
