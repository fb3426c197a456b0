#include "engine/tokenizer_files/tokenizer_config.h"

#include <charconv>
#include <map>
#include <utility>

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "engine/tokenizer_files/tokenizer_json_parts.h"

namespace midge {
namespace {

using simdjson::dom::element;

// Added tokens of tokenizer_config.json: their flags replace those of the vocabulary file, and
// tokens that are only here are added, as Hugging Face's transformers does.
Status read_config_added(const JsonObject& config, TokenizerDefinition* definition) {
  constexpr std::string_view kKey = "added_tokens_decoder";
  if (!config.has(kKey)) return Status();
  MIDGE_ASSIGN_OR_RETURN(const JsonObject decoder, config.object(kKey));
  std::vector<AddedToken>* added = &definition->added;
  std::map<int32_t, size_t> index_by_id;
  for (size_t i = 0; i < added->size(); ++i) index_by_id[(*added)[i].id] = i;
  for (const auto member : decoder.members()) {
    const std::string place = "added_tokens_decoder " + printable(member.key);
    MIDGE_ASSIGN_OR_RETURN(const JsonObject object, json_as_object(config, place, member.value));
    int64_t id = -1;
    const char* end = member.key.data() + member.key.size();
    const auto parsed = std::from_chars(member.key.data(), end, id);
    if (parsed.ec != std::errc() || parsed.ptr != end || id < 0 || id >= kVocabularySizeMax) {
      return make_status(StatusCode::kInvalidFile, "%s: %s is not an id in 0..%lld",
                         config.name().c_str(), place.c_str(),
                         static_cast<long long>(kVocabularySizeMax - 1));
    }
    AddedToken token;
    MIDGE_RETURN_IF_ERROR(read_added_token(object, id, &token));
    const auto [known, is_new] = index_by_id.try_emplace(token.id, added->size());
    if (is_new) {
      MIDGE_RETURN_IF_ERROR(with_file_name(config.name(), definition->add(std::move(token))));
      continue;
    }
    AddedToken& other = (*added)[known->second];
    if (other.content != token.content) {
      return make_status(StatusCode::kInvalidFile, "%s: %s is '%s', but '%s' in %s",
                         config.name().c_str(), place.c_str(), printable(token.content).c_str(),
                         printable(other.content).c_str(), definition->name.c_str());
    }
    other = std::move(token);
  }
  return Status();
}

// Id of a token that tokenizer_config.json names by null, a string, or an object with its content.
Status read_config_token(const JsonObject& config, std::string_view key,
                         const TokenizerDefinition& definition, int32_t* id) {
  if (!config.has(key)) return Status();
  const auto object = config.object(key);
  MIDGE_ASSIGN_OR_RETURN(const std::string_view content,
                         object.ok() ? object->string("content") : config.string(key));
  int32_t found = -1;  // *id may be that of another file
  for (const AddedToken& token : definition.added) {
    if (token.content == content) found = token.id;
  }
  for (const auto& entry : definition.vocabulary) {
    if (found < 0 && entry.text == content) found = entry.id;
  }
  if (found >= 0) {
    *id = found;
    return Status();
  }
  return make_status(StatusCode::kInvalidFile, "%s: '%s' is '%s', which is not in the vocabulary",
                     config.name().c_str(), printable(key).c_str(), printable(content).c_str());
}

// The chat template: a string, or a list of {name, template}, of which "default" is taken.
Result<std::string> read_config_template(const JsonObject& config) {
  constexpr std::string_view kKey = "chat_template";
  if (!config.has(kKey)) return std::string();
  const auto list = config.array(kKey);
  if (!list.ok()) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view text, config.string(kKey));
    return std::string(text);
  }
  size_t index = 0;
  for (const element value : *list) {
    const std::string place = format_string("chat_template[%zu]", index++);
    MIDGE_ASSIGN_OR_RETURN(const JsonObject entry, json_as_object(config, place, value));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view name, entry.string("name"));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view text, entry.string("template"));
    if (name == "default") return std::string(text);
  }
  return std::string();
}

}  // namespace

Status read_tokenizer_config(const std::string& name, std::string_view text,
                             TokenizerDefinition* definition) {
  // tokenizer.json is kept while this one is parsed. As many added tokens as are allowed take 17
  // MB, real ones 4 MiB at most.
  JsonLimits limits;
  limits.parsed_bytes = uint64_t{24} << 20;
  // transformers writes int(1e30) for "model_max_length" where there is no limit.
  limits.takes_long_integers = true;
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::parse(name, text, DuplicateKeys::kRefused, limits));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject config, document.root());
  MIDGE_RETURN_IF_ERROR(read_config_added(config, definition));
  MIDGE_RETURN_IF_ERROR(read_config_token(config, "bos_token", *definition, &definition->bos_id));
  MIDGE_RETURN_IF_ERROR(read_config_token(config, "eos_token", *definition, &definition->eos_id));
  if (definition->family == TokenizerFamily::kSentencepiece) {
    MIDGE_ASSIGN_OR_RETURN(definition->add_bos,
                           config.boolean_or("add_bos_token", definition->add_bos));
  }
  MIDGE_ASSIGN_OR_RETURN(definition->chat_template, read_config_template(config));
  return Status();
}

Result<TokenizerConfigFiles> load_tokenizer_config(const std::string& directory) {
  const std::string template_path = join_path(directory, "chat_template.jinja");
  TokenizerConfigFiles files;
  files.name = join_path(directory, "tokenizer_config.json");
  if (is_regular_file(files.name)) {
    MIDGE_ASSIGN_OR_RETURN(files.config, read_small_file(files.name, kTokenizerConfigBytesMax));
  }
  files.name = shown_path(files.name);
  if (is_regular_file(template_path)) {
    MIDGE_ASSIGN_OR_RETURN(files.chat_template,
                           read_small_file(template_path, kTokenizerConfigBytesMax));
  }
  return files;
}

}  // namespace midge
