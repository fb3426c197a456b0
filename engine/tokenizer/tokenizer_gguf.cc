#include "engine/tokenizer/tokenizer_gguf.h"

#include <string>
#include <string_view>
#include <vector>

namespace midge {
namespace {

// Values of tokenizer.ggml.token_type.
enum : int32_t { kTypeNormal = 1, kTypeControl = 3, kTypeUserDefined = 4, kTypeUnused = 5 };

Status check_model(const GgufFile& file) {
  if (!file.has("tokenizer.ggml.model")) {
    return make_status(StatusCode::kUnsupported,
                       "%s: holds no vocabulary (no 'tokenizer.ggml.model')", file.path().c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string_view model, file.string("tokenizer.ggml.model"));
  if (model == "gpt2") return Status();
  if (model == "no_vocab") {
    return make_status(StatusCode::kUnsupported,
                       "%s: holds no vocabulary ('tokenizer.ggml.model' is 'no_vocab')",
                       file.path().c_str());
  }
  return make_status(StatusCode::kUnsupported,
                     "%s: 'tokenizer.ggml.model' is '%s', expected 'gpt2' (byte-level BPE)%s",
                     file.path().c_str(), printable(model).c_str(),
                     model == "llama" ? "; SentencePiece vocabularies are not supported" : "");
}

// Converters fill the rows behind the vocabulary with "[PAD<id>]"; older ones gave these the type
// of added tokens.
bool is_padding(int32_t id, std::string_view text, int32_t type) {
  return type == kTypeUnused || (type == kTypeUserDefined && text == format_string("[PAD%d]", id));
}

Status read_tokens(const GgufFile& file, TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const auto tokens, file.string_array("tokenizer.ggml.tokens"));
  if (tokens.empty() || tokens.size() > static_cast<size_t>(kVocabularySizeMax)) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu tokens, expected 1..%lld",
                       file.path().c_str(), tokens.size(),
                       static_cast<long long>(kVocabularySizeMax));
  }
  std::vector<int32_t> types(tokens.size(), kTypeNormal);
  if (file.has("tokenizer.ggml.token_type")) {
    MIDGE_ASSIGN_OR_RETURN(types, file.i32_array("tokenizer.ggml.token_type"));
  }
  if (types.size() != tokens.size()) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu token types, expected %zu",
                       file.path().c_str(), types.size(), tokens.size());
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (is_padding(id, tokens[i], types[i])) continue;
    if (types[i] == kTypeNormal) {
      definition->vocabulary.push_back({id, tokens[i]});
    } else if (types[i] == kTypeControl || types[i] == kTypeUserDefined) {
      AddedToken token;
      token.id = id;
      token.content = tokens[i];
      token.special = types[i] == kTypeControl;
      definition->added.push_back(std::move(token));
    } else {
      return make_status(StatusCode::kInvalidFile,
                         "%s: token %d '%s' has type %d, expected 1, 3, 4 or 5",
                         file.path().c_str(), id, printable(tokens[i]).c_str(), types[i]);
    }
  }
  return Status();
}

// Elements are "a b"; the byte-level alphabet has no space of its own.
Status read_merges(const GgufFile& file, TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const auto merges, file.string_array("tokenizer.ggml.merges"));
  if (merges.size() > kMergesMax) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu merges, the limit is %zu",
                       file.path().c_str(), merges.size(), kMergesMax);
  }
  definition->merges.reserve(merges.size());
  for (const std::string_view merge : merges) {
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      return make_status(StatusCode::kInvalidFile, "%s: merge %zu '%s' is not two parts",
                         file.path().c_str(), definition->merges.size(), printable(merge).c_str());
    }
    definition->merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return Status();
}

// Token ids that the file names for a purpose; `create` checks that they have tokens.
Status read_named_ids(const GgufFile& file, TokenizerDefinition* definition) {
  constexpr const char* kStopKeys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
  const auto read = [&file](const char* key) {
    return file.integer_or(key, 0, kVocabularySizeMax - 1, -1);
  };
  MIDGE_ASSIGN_OR_RETURN(const int64_t bos_id, read("tokenizer.ggml.bos_token_id"));
  MIDGE_ASSIGN_OR_RETURN(const int64_t eos_id, read("tokenizer.ggml.eos_token_id"));
  definition->bos_id = static_cast<int32_t>(bos_id);
  definition->eos_id = static_cast<int32_t>(eos_id);
  for (const char* key : kStopKeys) {
    MIDGE_ASSIGN_OR_RETURN(const int64_t id, read(key));
    if (id >= 0) definition->stop_ids.push_back(static_cast<int32_t>(id));
  }
  return Status();
}

}  // namespace

Result<Tokenizer> load_tokenizer_gguf(const GgufFile& file) {
  MIDGE_RETURN_IF_ERROR(check_model(file));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view pre, file.string("tokenizer.ggml.pre"));
  const auto pretokenizer = pretokenizer_from_gguf_name(pre);
  if (!pretokenizer.ok()) {
    return Status(pretokenizer.status().code(),
                  file.path() + ": " + pretokenizer.status().message());
  }
  TokenizerDefinition definition;
  definition.name = file.path();
  definition.pretokenizer = *pretokenizer;
  // The file does not say either of these two; both follow from the tokenizer that `pre` names.
  definition.nfc = pretokenizer->pattern == PretokenizerPattern::kQwen2;
  definition.ignore_merges = pretokenizer->pattern != PretokenizerPattern::kQwen2;
  MIDGE_RETURN_IF_ERROR(read_tokens(file, &definition));
  MIDGE_RETURN_IF_ERROR(read_merges(file, &definition));
  MIDGE_RETURN_IF_ERROR(read_named_ids(file, &definition));
  MIDGE_ASSIGN_OR_RETURN(definition.add_bos,
                         file.boolean_or("tokenizer.ggml.add_bos_token", false));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view chat_template,
                         file.string_or("tokenizer.chat_template", ""));
  definition.chat_template = chat_template;
  return Tokenizer::create(definition);
}

}  // namespace midge
