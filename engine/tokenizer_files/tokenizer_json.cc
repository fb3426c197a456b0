#include "engine/tokenizer_files/tokenizer_json.h"

#include <algorithm>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "engine/tokenizer_files/tokenizer_config.h"
#include "engine/tokenizer_files/tokenizer_json_parts.h"
#include "engine/tokenizer_files/tokenizer_json_sentencepiece.h"

namespace midge {
namespace {

using simdjson::dom::element;

Status read_normalizer(const JsonObject& root, bool* nfc) {
  *nfc = false;
  if (!root.has("normalizer")) return Status();
  MIDGE_ASSIGN_OR_RETURN(JsonObject normalizer, root.object("normalizer"));
  MIDGE_ASSIGN_OR_RETURN(std::string_view type, json_type(normalizer));
  if (type == "Sequence") {
    MIDGE_ASSIGN_OR_RETURN(const auto steps, normalizer.array("normalizers"));
    if (steps.size() == 0) return Status();
    if (steps.size() == 1) {
      MIDGE_ASSIGN_OR_RETURN(normalizer, json_as_object(root, "normalizer step 0", steps.at(0)));
      MIDGE_ASSIGN_OR_RETURN(type, json_type(normalizer));
    }
  }
  if (type != "NFC") return json_unsupported(root, "normalizer", type, "none or 'NFC'");
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
    return json_unsupported(root, invert ? "inverted split behavior" : "split behavior", behavior,
                            "'Isolated', or 'Removed' inverted");
  }
  const auto known = pretokenizer_from_regex(regex);
  if (!known.ok()) {
    return with_file_name(root.name(), known.status());
  }
  *pretokenizer = *known;
  return Status();
}

// GPT-2's expression is built into ByteLevel, and used where its file does not say otherwise.
Status read_byte_level(const JsonObject& root, const JsonObject& bytes, bool with_regex) {
  // Both default to true where they are absent.
  MIDGE_ASSIGN_OR_RETURN(const bool prefix, bytes.boolean_or("add_prefix_space", true));
  MIDGE_ASSIGN_OR_RETURN(const bool regex, bytes.boolean_or("use_regex", true));
  if (prefix) return json_unsupported(root, "ByteLevel add_prefix_space", "true", "false");
  if (regex != with_regex) {
    return json_unsupported(root, "ByteLevel use_regex", regex ? "true" : "false",
                            with_regex ? "true" : "false");
  }
  return Status();
}

Status read_pretokenizer(const JsonObject& root, Pretokenizer* pretokenizer) {
  constexpr const char* kExpected = "a Sequence of Split or Digits, and ByteLevel";
  MIDGE_ASSIGN_OR_RETURN(const JsonObject outer, root.object("pre_tokenizer"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(outer));
  if (type != "Sequence") return json_unsupported(root, "pre_tokenizer", type, kExpected);
  MIDGE_ASSIGN_OR_RETURN(const auto steps, outer.array("pretokenizers"));
  if (steps.size() != 2) {
    return json_unsupported(root, "pre_tokenizer", format_string("a Sequence of %zu", steps.size()),
                            kExpected);
  }
  MIDGE_ASSIGN_OR_RETURN(const JsonObject first,
                         json_as_object(root, "pre_tokenizer step 0", steps.at(0)));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view first_type, json_type(first));
  const bool digits = first_type == "Digits";
  if (digits) {
    MIDGE_ASSIGN_OR_RETURN(const bool individual, first.boolean_or("individual_digits", false));
    if (!individual) return json_unsupported(root, "Digits individual_digits", "false", "true");
    *pretokenizer = {PretokenizerPattern::kSmollm, false};
  } else if (first_type == "Split") {
    MIDGE_RETURN_IF_ERROR(read_split(root, first, pretokenizer));
  } else {
    return json_unsupported(root, "pre_tokenizer step 0", first_type, "'Split' or 'Digits'");
  }
  MIDGE_ASSIGN_OR_RETURN(const JsonObject bytes,
                         json_as_object(root, "pre_tokenizer step 1", steps.at(1)));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view bytes_type, json_type(bytes));
  if (bytes_type != "ByteLevel") {
    return json_unsupported(root, "pre_tokenizer step 1", bytes_type, "'ByteLevel'");
  }
  return read_byte_level(root, bytes, digits);
}

// Post-processor and decoder: byte-level ones only move offsets and undo the alphabet.
Status check_byte_level(const JsonObject& root, const char* key, bool required) {
  if (!required && !root.has(key)) return Status();
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, root.object(key));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(object));
  if (type != "ByteLevel") return json_unsupported(root, key, type, "'ByteLevel'");
  return Status();
}

// What is around the model in byte-level files.
Status read_byte_level_steps(const JsonObject& root, TokenizerDefinition* definition) {
  MIDGE_RETURN_IF_ERROR(read_normalizer(root, &definition->nfc));
  MIDGE_RETURN_IF_ERROR(read_pretokenizer(root, &definition->pretokenizer));
  MIDGE_RETURN_IF_ERROR(check_byte_level(root, "post_processor", false));
  return check_byte_level(root, "decoder", true);
}

Status read_added(const JsonObject& root, TokenizerDefinition* definition) {
  if (!root.has("added_tokens")) return Status();
  MIDGE_ASSIGN_OR_RETURN(const auto array, root.array("added_tokens"));
  for (const element value : array) {
    const std::string place = format_string("added_tokens[%zu]", definition->added.size());
    MIDGE_ASSIGN_OR_RETURN(const JsonObject object, json_as_object(root, place, value));
    MIDGE_ASSIGN_OR_RETURN(const int64_t id, object.integer("id", 0, kVocabularySizeMax - 1));
    AddedToken token;
    MIDGE_RETURN_IF_ERROR(read_added_token(object, id, &token));
    MIDGE_RETURN_IF_ERROR(with_file_name(root.name(), definition->add(std::move(token))));
  }
  return Status();
}

Status read_vocabulary(const JsonObject& root, const JsonObject& model,
                       TokenizerDefinition* definition) {
  std::vector<TokenizerDefinition::Entry>* vocabulary = &definition->vocabulary;
  const bool has_bytes = definition->family == TokenizerFamily::kSentencepiece;
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
    const bool is_byte = has_bytes && byte_piece_value(member.key) >= 0;
    vocabulary->push_back({static_cast<int32_t>(id), member.key, is_byte});
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
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(model));
  if (type != "BPE") return json_unsupported(root, "model type", type, "'BPE'");
  MIDGE_ASSIGN_OR_RETURN(const bool byte_fallback, model.boolean_or("byte_fallback", false));
  if (byte_fallback) definition->family = TokenizerFamily::kSentencepiece;
  MIDGE_ASSIGN_OR_RETURN(const double dropout, model.number_or("dropout", 0.0));
  if (dropout != 0.0) return json_unsupported(root, "model dropout", "not zero", "none");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view affix, model.string_or(key, ""));
    if (!affix.empty()) return json_unsupported(root, key, affix, "none");
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string_view unknown, model.string_or("unk_token", ""));
  definition->has_unknown_token = !unknown.empty();
  MIDGE_ASSIGN_OR_RETURN(definition->ignore_merges, model.boolean_or("ignore_merges", false));
  if (byte_fallback && definition->ignore_merges) {
    return json_unsupported(root, "model ignore_merges", "true", "false beside byte_fallback");
  }
  MIDGE_RETURN_IF_ERROR(read_vocabulary(root, model, definition));
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

}  // namespace

Result<Tokenizer> parse_tokenizer_json(const std::string& name, std::string_view text,
                                       const std::string& config_name, std::string_view config,
                                       std::string_view chat_template) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(name, text));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  TokenizerDefinition definition;
  definition.name = name;
  MIDGE_RETURN_IF_ERROR(read_added(root, &definition));
  MIDGE_RETURN_IF_ERROR(read_model(root, &definition));
  MIDGE_RETURN_IF_ERROR(definition.family == TokenizerFamily::kSentencepiece
                            ? read_sentencepiece_steps(root, &definition)
                            : read_byte_level_steps(root, &definition));
  if (!config.empty()) {
    MIDGE_RETURN_IF_ERROR(read_tokenizer_config(config_name, config, &definition));
  }
  if (!chat_template.empty()) definition.chat_template = chat_template;
  return Tokenizer::create(definition);
}

Result<Tokenizer> load_tokenizer_json(const std::string& directory) {
  const std::string path = join_path(directory, "tokenizer.json");
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, kTokenizerJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(const TokenizerConfigFiles files, load_tokenizer_config(directory));
  return parse_tokenizer_json(shown_path(path), text, files.name, files.config,
                              files.chat_template);
}

}  // namespace midge
