#include "engine/tokenizer_files/tokenizer_json_sentencepiece.h"

#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer_files/tokenizer_json_parts.h"

namespace midge {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

// The steps of `key`, which is one step or a "Sequence" of them under `steps_key`; none if it is
// absent.
Result<std::vector<JsonObject>> read_steps(const JsonObject& root, const char* key,
                                           const char* steps_key) {
  std::vector<JsonObject> steps;
  if (!root.has(key)) return steps;
  MIDGE_ASSIGN_OR_RETURN(const JsonObject outer, root.object(key));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(outer));
  if (type != "Sequence") {
    steps.push_back(outer);
    return steps;
  }
  MIDGE_ASSIGN_OR_RETURN(const auto array, outer.array(steps_key));
  for (const simdjson::dom::element value : array) {
    const std::string place = format_string("%s step %zu", key, steps.size());
    MIDGE_ASSIGN_OR_RETURN(const JsonObject step, json_as_object(root, place, value));
    steps.push_back(step);
  }
  return steps;
}

// Types of the steps with their arguments, for example "Prepend(a) Replace(b,c)".
Result<std::string> spell_steps(const JsonObject& root, const char* key, const char* steps_key) {
  MIDGE_ASSIGN_OR_RETURN(const auto steps, read_steps(root, key, steps_key));
  std::string text;
  for (const JsonObject& step : steps) {
    MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(step));
    if (!text.empty()) text += ' ';
    text += type;
    if (type == "Prepend") {
      MIDGE_ASSIGN_OR_RETURN(const std::string_view prepend, step.string("prepend"));
      text += '(';
      text += prepend;
      text += ')';
    } else if (type == "Replace") {
      MIDGE_ASSIGN_OR_RETURN(const JsonObject pattern, step.object("pattern"));
      MIDGE_ASSIGN_OR_RETURN(const std::string_view found, pattern.string("String"));
      MIDGE_ASSIGN_OR_RETURN(const std::string_view content, step.string("content"));
      text += '(';
      text += found;
      text += ',';
      text += content;
      text += ')';
    } else if (type == "Strip") {
      MIDGE_ASSIGN_OR_RETURN(const std::string_view content, step.string("content"));
      MIDGE_ASSIGN_OR_RETURN(const int64_t start, step.integer("start", 0, 1 << 20));
      MIDGE_ASSIGN_OR_RETURN(const int64_t stop, step.integer("stop", 0, 1 << 20));
      text += format_string("(%s,%lld,%lld)", printable(content).c_str(),
                            static_cast<long long>(start), static_cast<long long>(stop));
    }
  }
  return text;
}

// A template of a single sequence: "A" alone, or one token before it, which is bos then.
Status read_post_processor(const JsonObject& root, TokenizerDefinition* definition) {
  constexpr const char* kExpected = "a TemplateProcessing of a sequence, or of bos and a sequence";
  if (!root.has("post_processor")) return Status();
  MIDGE_ASSIGN_OR_RETURN(const JsonObject processor, root.object("post_processor"));
  MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(processor));
  if (type != "TemplateProcessing") {
    return json_unsupported(root, "post_processor", type, kExpected);
  }
  MIDGE_ASSIGN_OR_RETURN(const auto single, processor.array("single"));
  const size_t count = single.size();
  const std::string size = format_string("a template of %zu", count);
  if (count < 1 || count > 2) return json_unsupported(root, "post_processor", size, kExpected);
  for (size_t i = 0; i < count; ++i) {
    MIDGE_ASSIGN_OR_RETURN(const JsonObject part,
                           json_as_object(root, "post_processor step", single.at(i)));
    const bool is_sequence = part.has("Sequence");
    if (is_sequence != (i + 1 == count)) {
      return json_unsupported(root, "post_processor", size, kExpected);
    }
    if (is_sequence) continue;
    MIDGE_ASSIGN_OR_RETURN(const JsonObject token, part.object("SpecialToken"));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view content, token.string("id"));
    definition->add_bos = true;
    for (const AddedToken& added : definition->added) {
      if (added.content == content) definition->bos_id = added.id;
    }
    if (definition->bos_id < 0) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: post_processor puts '%s' first, which is no added token",
                         root.name().c_str(), printable(content).c_str());
    }
  }
  return Status();
}

}  // namespace

Status read_sentencepiece_steps(const JsonObject& root, TokenizerDefinition* definition) {
  const std::string symbol(kSpaceSymbol);
  const std::string replace = "Replace( ," + symbol + ")";
  const std::string restore = "Replace(" + symbol + ", ) ByteFallback Fuse";
  MIDGE_ASSIGN_OR_RETURN(const std::string normalizer,
                         spell_steps(root, "normalizer", "normalizers"));
  definition->rules.space_prefix = normalizer == "Prepend(" + symbol + ") " + replace;
  if (!definition->rules.space_prefix && normalizer != replace) {
    return json_unsupported(root, "normalizer", normalizer,
                            "'Prepend Replace' or 'Replace' of spaces by U+2581");
  }
  if (root.has("pre_tokenizer")) {
    MIDGE_ASSIGN_OR_RETURN(const JsonObject pre_tokenizer, root.object("pre_tokenizer"));
    MIDGE_ASSIGN_OR_RETURN(const std::string_view type, json_type(pre_tokenizer));
    return json_unsupported(root, "pre_tokenizer", type, "none beside byte_fallback");
  }
  MIDGE_RETURN_IF_ERROR(read_post_processor(root, definition));
  MIDGE_ASSIGN_OR_RETURN(const std::string decoder, spell_steps(root, "decoder", "decoders"));
  const std::string expected = definition->rules.space_prefix ? restore + " Strip( ,1,0)" : restore;
  if (decoder != expected) {
    return json_unsupported(root, "decoder", decoder,
                            "the inverse of the normalizer: 'Replace ByteFallback Fuse' and, "
                            "after a Prepend, 'Strip'");
  }
  return Status();
}

}  // namespace midge
