// Tokenizers of Hugging Face directories that have a SentencePiece model: tokenizer.model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Largest files that are read; a model of 256,000 pieces has 4 MB.
inline constexpr uint64_t kTokenizerModelBytesMax = uint64_t{16} << 20;
inline constexpr uint64_t kAddedTokensJsonBytesMax = uint64_t{4} << 20;

/// Loads `directory`/tokenizer.model with libsentencepiece and, where they exist,
/// added_tokens.json, tokenizer_config.json and chat_template.jinja. See
/// docs/formats/tokenizers.md. Errors: not_found (no tokenizer.model), io_error, invalid_file
/// (damaged), unsupported (a build without libsentencepiece, a feature of the model, named).
Result<Tokenizer> load_tokenizer_model(const std::string& directory);

/// The files beside a tokenizer.model; empty where there is none. Names stand in messages.
struct TokenizerModelFiles {
  std::string name;
  std::string_view model;
  std::string added_name;
  std::string_view added;  ///< added_tokens.json: {"content": id, ...}
  std::string config_name;
  std::string_view config;
  std::string_view chat_template;
};

/// The same for files in memory.
Result<Tokenizer> parse_tokenizer_model(const TokenizerModelFiles& files);

}  // namespace midge
