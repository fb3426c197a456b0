#include "engine/tokenizer_files/tokenizer_gguf.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>
#include "engine/core/visible.h"
#include "engine/tokenizer_files/tokenizer_config.h"

namespace midge {
namespace {

// Values of tokenizer.ggml.token_type. Unknown and byte tokens are SentencePiece's.
enum : int32_t {
  kTypeNormal = 1,
  kTypeUnknown = 2,
  kTypeControl = 3,
  kTypeUserDefined = 4,
  kTypeUnused = 5,
  kTypeByte = 6
};

// A token or a merge as files spell it: a space takes three bytes, a byte of the alphabet two.
constexpr uint64_t kSpelledBytesMax = 4 * kTokenBytesMax;

Result<TokenizerFamily> read_family(const GgufFile& file) {
  if (!file.has("tokenizer.ggml.model")) {
    return make_status(StatusCode::kUnsupported,
                       "%s: holds no vocabulary (no 'tokenizer.ggml.model')",
                       shown_path(file.path()).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string_view model,
                         file.string("tokenizer.ggml.model", kGgufNameBytesMax));
  if (model == "gpt2") return TokenizerFamily::kByteLevel;
  if (model == "llama") return TokenizerFamily::kSentencepiece;
  if (model == "no_vocab") {
    return make_status(StatusCode::kUnsupported,
                       "%s: holds no vocabulary ('tokenizer.ggml.model' is 'no_vocab')",
                       shown_path(file.path()).c_str());
  }
  return make_status(StatusCode::kUnsupported,
                     "%s: 'tokenizer.ggml.model' is '%s', expected 'gpt2' (byte-level BPE) or "
                     "'llama' (SentencePiece)",
                     shown_path(file.path()).c_str(), printable(model).c_str());
}

// Converters fill the rows behind the vocabulary with "[PAD<id>]"; older ones gave these the type
// of added tokens or of the unknown token.
bool is_padding(int32_t id, std::string_view text, int32_t type) {
  return type == kTypeUnused || ((type == kTypeUserDefined || type == kTypeUnknown) &&
                                 text == format_string("[PAD%d]", id));
}

Status check_size(const GgufFile& file, const char* what, size_t found, size_t expected) {
  if (found == expected) return Status();
  return make_status(StatusCode::kInvalidFile, "%s: %zu %s, expected %zu",
                     shown_path(file.path()).c_str(), found, what, expected);
}

Status read_tokens(const GgufFile& file, TokenizerDefinition* definition) {
  const bool sentencepiece = definition->family == TokenizerFamily::kSentencepiece;
  MIDGE_ASSIGN_OR_RETURN(const auto tokens,
                         file.string_array("tokenizer.ggml.tokens", kSpelledBytesMax));
  if (tokens.empty() || tokens.size() > static_cast<size_t>(kVocabularySizeMax)) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu tokens, expected 1..%lld",
                       shown_path(file.path()).c_str(), tokens.size(),
                       static_cast<long long>(kVocabularySizeMax));
  }
  std::vector<int32_t> types(tokens.size(), kTypeNormal);
  if (sentencepiece || file.has("tokenizer.ggml.token_type")) {
    MIDGE_ASSIGN_OR_RETURN(types, file.i32_array("tokenizer.ggml.token_type"));
  }
  MIDGE_RETURN_IF_ERROR(check_size(file, "token types", types.size(), tokens.size()));
  std::vector<float> scores(tokens.size());
  if (sentencepiece) {
    MIDGE_ASSIGN_OR_RETURN(scores, file.f32_array("tokenizer.ggml.scores"));
  }
  MIDGE_RETURN_IF_ERROR(check_size(file, "token scores", scores.size(), tokens.size()));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    const int32_t type = types[i];
    if (is_padding(id, tokens[i], type)) continue;
    if (type == kTypeNormal || (type == kTypeByte && sentencepiece)) {
      definition->vocabulary.push_back({id, tokens[i], type == kTypeByte, scores[i]});
    } else if (type == kTypeControl || type == kTypeUserDefined ||
               (type == kTypeUnknown && sentencepiece)) {
      AddedToken token;
      token.id = id;
      token.content = tokens[i];
      token.special = type != kTypeUserDefined;
      MIDGE_RETURN_IF_ERROR(with_file_name(file.path(), definition->add(std::move(token))));
    } else {
      return make_status(StatusCode::kInvalidFile, "%s: token %d '%s' has type %d, expected %s",
                         shown_path(file.path()).c_str(), id, printable(tokens[i]).c_str(), type,
                         sentencepiece ? "1 .. 6" : "1, 3, 4 or 5");
    }
  }
  return Status();
}

// Elements are "a b"; the byte-level alphabet has no space of its own.
Status read_merges(const GgufFile& file, TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const auto merges,
                         file.string_array("tokenizer.ggml.merges", kSpelledBytesMax));
  if (merges.size() > kMergesMax) {
    return make_status(StatusCode::kInvalidFile, "%s: %zu merges, the limit is %zu",
                       shown_path(file.path()).c_str(), merges.size(), kMergesMax);
  }
  definition->merges.reserve(merges.size());
  for (const std::string_view merge : merges) {
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      return make_status(StatusCode::kInvalidFile, "%s: merge %zu '%s' is not two parts",
                         shown_path(file.path()).c_str(), definition->merges.size(),
                         printable(merge).c_str());
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

Status read_byte_level(const GgufFile& file, TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const std::string_view pre,
                         file.string("tokenizer.ggml.pre", kGgufNameBytesMax));
  const auto pretokenizer = pretokenizer_from_gguf_name(pre);
  if (!pretokenizer.ok()) {
    return with_file_name(file.path(), pretokenizer.status());
  }
  definition->pretokenizer = *pretokenizer;
  // The file does not say either of these two; both follow from the tokenizer that `pre` names.
  definition->nfc = pretokenizer->pattern == PretokenizerPattern::kQwen2;
  definition->ignore_merges = pretokenizer->pattern == PretokenizerPattern::kCl100k ||
                              pretokenizer->pattern == PretokenizerPattern::kO200k;
  MIDGE_RETURN_IF_ERROR(read_tokens(file, definition));
  return read_merges(file, definition);
}

// The file says nothing about white space behind added tokens. Phi-3's tokenizer drops it behind
// all of them but these three, and its chat template counts on that.
void set_phi3_flags(std::vector<AddedToken>* added) {
  const auto has = [added](std::string_view content) {
    return std::any_of(added->begin(), added->end(),
                       [content](const AddedToken& token) { return token.content == content; });
  };
  if (!has("<|user|>") || !has("<|assistant|>") || !has("<|end|>")) return;
  for (AddedToken& token : *added) {
    token.rstrip =
        token.content != "<unk>" && token.content != "<s>" && token.content != "<|endoftext|>";
  }
}

Status read_sentencepiece(const GgufFile& file, TokenizerDefinition* definition) {
  constexpr const char* kTable = "tokenizer.ggml.precompiled_charsmap";
  if (file.has(kTable)) {
    return make_status(StatusCode::kUnsupported, "%s: has '%s', expected no table of a normaliser",
                       shown_path(file.path()).c_str(), kTable);
  }
  definition->merges_by_score = true;
  MIDGE_ASSIGN_OR_RETURN(definition->rules.space_prefix,
                         file.boolean_or("tokenizer.ggml.add_space_prefix", true));
  MIDGE_ASSIGN_OR_RETURN(definition->rules.remove_extra_whitespaces,
                         file.boolean_or("tokenizer.ggml.remove_extra_whitespaces", false));
  MIDGE_RETURN_IF_ERROR(read_tokens(file, definition));
  set_phi3_flags(&definition->added);
  return Status();
}

}  // namespace

Result<Tokenizer> load_tokenizer_gguf(const GgufFile& file) {
  TokenizerDefinition definition;
  definition.name = shown_path(file.path());
  MIDGE_ASSIGN_OR_RETURN(definition.family, read_family(file));
  const bool sentencepiece = definition.family == TokenizerFamily::kSentencepiece;
  MIDGE_RETURN_IF_ERROR(sentencepiece ? read_sentencepiece(file, &definition)
                                      : read_byte_level(file, &definition));
  MIDGE_RETURN_IF_ERROR(read_named_ids(file, &definition));
  // Files that do not say it mean yes if they are SentencePiece's, or Llama 3's by their
  // pre-tokenizer.
  MIDGE_ASSIGN_OR_RETURN(const std::string_view pre,
                         file.string_or("tokenizer.ggml.pre", kGgufNameBytesMax, ""));
  const bool begins = sentencepiece || pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3";
  MIDGE_ASSIGN_OR_RETURN(definition.add_bos, file.boolean_or("tokenizer.ggml.add_bos_token",
                                                             begins && definition.bos_id >= 0));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view chat_template,
                         file.string_or("tokenizer.chat_template", kTokenizerConfigBytesMax, ""));
  definition.chat_template = chat_template;
  return Tokenizer::create(definition);
}

}  // namespace midge
