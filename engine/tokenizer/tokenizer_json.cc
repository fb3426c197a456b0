#include "engine/tokenizer/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

using simdjson::dom::element;

Status unsupported(const JsonObject& root, const char* place, std::string_view found,
                   const char* expected) {
  return make_status(StatusCode::kUnsupported, "%s: %s is '%s', expected %s", root.name().c_str(),
                     place, printable(found).c_str(), expected);
}

Status invalid(const JsonObject& root, const std::string& place, element found,
               const char* expected) {
  return make_status(StatusCode::kInvalidFile, "%s: %s is %s, expected %s", root.name().c_str(),
                     place.c_str(), json_type_name(found), expected);
}

Result<JsonObject> as_object(const JsonObject& root, const std::string& place, element value) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return invalid(root, place, value, "an object");
  }
  return JsonObject(object, &root.name());
}

// The "type" of an object; empty if it has none.
Result<std::string_view> type_of(const JsonObject& object) { return object.string_or("type", ""); }

Status read_normalizer(const JsonObject& root, bool* nfc) {
  *nfc = false;
  if (!root.has("normalizer")) return Status();
  MIDGE_ASSIGN_OR_RETURN(JsonObject normalizer, root.object("normalizer"));
  MIDGE_ASSIGN_OR_RETURN(std::string_view type, type_of(normalizer));
  if (type == "Sequence") {
    MIDGE_ASSIGN_OR_RETURN(const auto steps, normalizer.array("normalizers"));
    if (steps.size() == 0) return Status();
    if (steps.size() == 1) {
      MIDGE_ASSIGN_OR_RETURN(normalizer, as_object(root, "normalizer step 0", steps.at(0)));
      MIDGE_ASSIGN_OR_RETURN(type, type_of(normalizer));
    }
  }
  if (type != "NFC") return unsupported(root, "normalizer", type, "none or 'NFC'");
  *nfc = true;
  return Status();
}

// Split by an expression that covers the whole text: what is kept are the matches, whether they
// are called matches ("Isolated") or the gaps between removed non-matches ("Removed", inverted).
Status read_split(const JsonObject& root, const JsonObject& split, Pretokenizer* pretokenizer) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject pattern, split.object("pattern"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view regex, pattern.string("Regex"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view behavior, split.string("behavior"));
  MIDGE_ASSIGN_OR_RETURN(const bool invert, split.boolean_or("invert", false));
  const bool keeps_matches = behavior == "Isolated" || (behavior == "Removed" && invert);
  if (!keeps_matches) {
    return unsupported(root, invert ? "inverted split behavior" : "split behavior", behavior,
                       "'Isolated', or 'Removed' inverted");
  }
  const auto known = pretokenizer_from_regex(regex);
  if (!known.ok()) {
    return Status(known.status().code(), root.name() + ": " + known.status().message());
  }
  *pretokenizer = *known;
  return Status();
}

Status read_pretokenizer(const JsonObject& root, Pretokenizer* pretokenizer) {
  constexpr const char* kExpected = "a Sequence of Split and ByteLevel";
  MIDGE_ASSIGN_OR_RETURN(const JsonObject outer, root.object("pre_tokenizer"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, type_of(outer));
  if (type != "Sequence") return unsupported(root, "pre_tokenizer", type, kExpected);
  MIDGE_ASSIGN_OR_RETURN(const auto steps, outer.array("pretokenizers"));
  if (steps.size() != 2) {
    return unsupported(root, "pre_tokenizer", format_string("a Sequence of %zu", steps.size()),
                       kExpected);
  }
  MIDGE_ASSIGN_OR_RETURN(const JsonObject split,
                         as_object(root, "pre_tokenizer step 0", steps.at(0)));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view split_type, type_of(split));
  if (split_type != "Split") {
    return unsupported(root, "pre_tokenizer step 0", split_type, "'Split'");
  }
  MIDGE_RETURN_IF_ERROR(read_split(root, split, pretokenizer));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject bytes,
                         as_object(root, "pre_tokenizer step 1", steps.at(1)));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view bytes_type, type_of(bytes));
  if (bytes_type != "ByteLevel") {
    return unsupported(root, "pre_tokenizer step 1", bytes_type, "'ByteLevel'");
  }
  // Both default to true where they are absent.
  MIDGE_ASSIGN_OR_RETURN(const bool prefix, bytes.boolean_or("add_prefix_space", true));
  MIDGE_ASSIGN_OR_RETURN(const bool regex, bytes.boolean_or("use_regex", true));
  if (prefix || regex) {
    return unsupported(root, prefix ? "ByteLevel add_prefix_space" : "ByteLevel use_regex", "true",
                       "false");
  }
  return Status();
}

// Post-processor and decoder: byte-level ones only move offsets and undo the alphabet.
Status check_byte_level(const JsonObject& root, const char* key, bool required) {
  if (!required && !root.has(key)) return Status();
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, root.object(key));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, type_of(object));
  if (type != "ByteLevel") return unsupported(root, key, type, "'ByteLevel'");
  return Status();
}

Status read_added_token(const JsonObject& object, int64_t id, AddedToken* token) {
  MIDGE_ASSIGN_OR_RETURN(const std::string_view content, object.string("content"));
  MIDGE_ASSIGN_OR_RETURN(token->special, object.boolean_or("special", false));
  MIDGE_ASSIGN_OR_RETURN(token->single_word, object.boolean_or("single_word", false));
  MIDGE_ASSIGN_OR_RETURN(token->lstrip, object.boolean_or("lstrip", false));
  MIDGE_ASSIGN_OR_RETURN(token->rstrip, object.boolean_or("rstrip", false));
  MIDGE_ASSIGN_OR_RETURN(token->normalized, object.boolean_or("normalized", !token->special));
  token->id = static_cast<int32_t>(id);
  token->content = content;
  return Status();
}

Status read_added(const JsonObject& root, std::vector<AddedToken>* added) {
  if (!root.has("added_tokens")) return Status();
  MIDGE_ASSIGN_OR_RETURN(const auto array, root.array("added_tokens"));
  for (const element value : array) {
    const std::string place = format_string("added_tokens[%zu]", added->size());
    MIDGE_ASSIGN_OR_RETURN(const JsonObject object, as_object(root, place, value));
    MIDGE_ASSIGN_OR_RETURN(const int64_t id, object.integer("id", 0, kVocabularySizeMax - 1));
    MIDGE_RETURN_IF_ERROR(read_added_token(object, id, &added->emplace_back()));
  }
  return Status();
}

Status read_vocabulary(const JsonObject& root, const JsonObject& model,
                       std::vector<TokenizerDefinition::Entry>* vocabulary) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, model.object("vocab"));
  vocabulary->reserve(std::min(object.members().size(), static_cast<size_t>(kVocabularySizeMax)));
  for (const auto member : object.members()) {
    if (vocabulary->size() > static_cast<size_t>(kVocabularySizeMax)) break;  // `create` refuses it
    int64_t id = 0;
    const bool is_integer = member.value.get_int64().get(id) == simdjson::SUCCESS;
    if (!is_integer || id < 0 || id >= kVocabularySizeMax) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: the id of token '%s' is not an integer in 0..%lld",
                         root.name().c_str(), printable(member.key).c_str(),
                         static_cast<long long>(kVocabularySizeMax - 1));
    }
    vocabulary->push_back({static_cast<int32_t>(id), member.key});
  }
  return Status();
}

// One merge: "a b", or ["a", "b"].
Status read_merge(const JsonObject& root, size_t index, element value,
                  std::pair<std::string_view, std::string_view>* merge) {
  std::string_view text;
  if (value.get_string().get(text) == simdjson::SUCCESS) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      return make_status(StatusCode::kInvalidFile, "%s: merge %zu '%s' is not two parts",
                         root.name().c_str(), index, printable(text).c_str());
    }
    *merge = {text.substr(0, space), text.substr(space + 1)};
    return Status();
  }
  simdjson::dom::array parts;
  if (value.get_array().get(parts) != simdjson::SUCCESS || parts.size() != 2 ||
      parts.at(0).get_string().get(merge->first) != simdjson::SUCCESS ||
      parts.at(1).get_string().get(merge->second) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: merge %zu is neither a string nor an array of two strings",
                       root.name().c_str(), index);
  }
  return Status();
}

Status read_model(const JsonObject& root, TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject model, root.object("model"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, type_of(model));
  if (type != "BPE") return unsupported(root, "model type", type, "'BPE'");
  MIDGE_ASSIGN_OR_RETURN(const bool byte_fallback, model.boolean_or("byte_fallback", false));
  if (byte_fallback) return unsupported(root, "model byte_fallback", "true", "false");
  MIDGE_ASSIGN_OR_RETURN(const double dropout, model.number_or("dropout", 0.0));
  if (dropout != 0.0) return unsupported(root, "model dropout", "not zero", "none");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view affix, model.string_or(key, ""));
    if (!affix.empty()) return unsupported(root, key, affix, "none");
  }
  // unk_token and fuse_unk need no look: every byte has a token, so nothing is ever unknown.
  MIDGE_ASSIGN_OR_RETURN(definition->ignore_merges, model.boolean_or("ignore_merges", false));
  MIDGE_RETURN_IF_ERROR(read_vocabulary(root, model, &definition->vocabulary));
  MIDGE_ASSIGN_OR_RETURN(const auto merges, model.array("merges"));
  definition->merges.reserve(std::min(merges.size(), kMergesMax));
  for (const element value : merges) {
    if (definition->merges.size() > kMergesMax) break;  // which `create` refuses
    std::pair<std::string_view, std::string_view> merge;
    MIDGE_RETURN_IF_ERROR(read_merge(root, definition->merges.size(), value, &merge));
    definition->merges.push_back(merge);
  }
  return Status();
}

// Added tokens of tokenizer_config.json: their flags replace those of tokenizer.json, and tokens
// that are only here are added, as Hugging Face's transformers does.
Status read_config_added(const JsonObject& config, std::vector<AddedToken>* added) {
  constexpr std::string_view kKey = "added_tokens_decoder";
  if (!config.has(kKey)) return Status();
  MIDGE_ASSIGN_OR_RETURN(const JsonObject decoder, config.object(kKey));
  std::unordered_map<int32_t, size_t> index_by_id;
  for (size_t i = 0; i < added->size(); ++i) index_by_id[(*added)[i].id] = i;
  for (const auto member : decoder.members()) {
    const std::string place = "added_tokens_decoder " + printable(member.key);
    MIDGE_ASSIGN_OR_RETURN(const JsonObject object, as_object(config, place, member.value));
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
      added->push_back(std::move(token));
      continue;
    }
    AddedToken& other = (*added)[known->second];
    if (other.content != token.content) {
      return make_status(StatusCode::kInvalidFile, "%s: %s is '%s', but '%s' in tokenizer.json",
                         config.name().c_str(), place.c_str(), printable(token.content).c_str(),
                         printable(other.content).c_str());
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
  for (const AddedToken& token : definition.added) {
    if (token.content == content) *id = token.id;
  }
  for (const auto& entry : definition.vocabulary) {
    if (*id < 0 && entry.text == content) *id = entry.id;
  }
  if (*id >= 0) return Status();
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
    MIDGE_ASSIGN_OR_RETURN(const JsonObject entry, as_object(config, place, value));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view name, entry.string("name"));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view text, entry.string("template"));
    if (name == "default") return std::string(text);
  }
  return std::string();
}

Status read_config(const std::string& name, std::string_view text,
                   TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(name, text));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject config, document.root());
  MIDGE_RETURN_IF_ERROR(read_config_added(config, &definition->added));
  MIDGE_RETURN_IF_ERROR(read_config_token(config, "bos_token", *definition, &definition->bos_id));
  MIDGE_RETURN_IF_ERROR(read_config_token(config, "eos_token", *definition, &definition->eos_id));
  MIDGE_ASSIGN_OR_RETURN(definition->chat_template, read_config_template(config));
  return Status();
}

}  // namespace

Result<Tokenizer> parse_tokenizer_json(const std::string& name, std::string_view text,
                                       const std::string& config_name, std::string_view config,
                                       std::string_view chat_template) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(name, text));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  TokenizerDefinition definition;
  definition.name = name;
  MIDGE_RETURN_IF_ERROR(read_normalizer(root, &definition.nfc));
  MIDGE_RETURN_IF_ERROR(read_pretokenizer(root, &definition.pretokenizer));
  MIDGE_RETURN_IF_ERROR(check_byte_level(root, "post_processor", false));
  MIDGE_RETURN_IF_ERROR(check_byte_level(root, "decoder", true));
  MIDGE_RETURN_IF_ERROR(read_added(root, &definition.added));
  MIDGE_RETURN_IF_ERROR(read_model(root, &definition));
  if (!config.empty()) MIDGE_RETURN_IF_ERROR(read_config(config_name, config, &definition));
  if (!chat_template.empty()) definition.chat_template = chat_template;
  return Tokenizer::create(definition);
}

Result<Tokenizer> load_tokenizer_json(const std::string& directory) {
  const std::string path = join_path(directory, "tokenizer.json");
  const std::string config_path = join_path(directory, "tokenizer_config.json");
  const std::string template_path = join_path(directory, "chat_template.jinja");
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kTokenizerJsonBytesMax));
  std::string config;
  if (is_regular_file(config_path)) {
    MIDGE_ASSIGN_OR_RETURN(config, read_small_file(config_path, kTokenizerConfigBytesMax));
  }
  std::string chat_template;
  if (is_regular_file(template_path)) {
    MIDGE_ASSIGN_OR_RETURN(chat_template, read_small_file(template_path, kTokenizerConfigBytesMax));
  }
  return parse_tokenizer_json(path, text, config_path, config, chat_template);
}

}  // namespace midge
