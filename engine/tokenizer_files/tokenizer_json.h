// Tokenizers of Hugging Face directories: tokenizer.json and tokenizer_config.json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/status.h"
#include "engine/tokenizer/tokenizer.h"

namespace midge {

/// Largest file that is read; real ones have up to 16 MB. kJsonParsedBytesMax bounds what is in it.
inline constexpr uint64_t kTokenizerJsonBytesMax = uint64_t{24} << 20;

/// Loads `directory`/tokenizer.json and, where they exist, tokenizer_config.json (flags of
/// added tokens, bos, eos, chat template) and chat_template.jinja (the template, which then comes
/// first). See docs/formats/tokenizers.md for what is accepted. Errors: not_found (no
/// tokenizer.json), io_error, invalid_file (damaged), unsupported (another kind of tokenizer,
/// named).
Result<Tokenizer> load_tokenizer_json(const std::string& directory);

/// The same for texts in memory. `name` and `config_name` stand in messages; an empty `config`
/// means that there is none, an empty `chat_template` that there is no chat_template.jinja.
Result<Tokenizer> parse_tokenizer_json(const std::string& name, std::string_view text,
                                       const std::string& config_name, std::string_view config,
                                       std::string_view chat_template);

}  // namespace midge
