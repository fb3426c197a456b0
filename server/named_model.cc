#include "server/named_model.h"

namespace midge {
namespace {

Status error_of(midge_model* model, midge_status status) {
  char text[512] = {};
  midge_error_text(model, text, sizeof(text));
  return Status(static_cast<StatusCode>(status), text);
}

}  // namespace

NamedModel::NamedModel(std::string name, midge_model* model, uint32_t index)
    : name_(std::move(name)), model_(model), index_(index) {
  info_.size = sizeof(info_);
  midge_model_info_get(model, &info_);
  if (info_.has_chat == 0 || info_.chat_template == nullptr) return;
  Result<ChatTemplate> chat = detect_chat_template(info_.chat_template);
  if (chat.ok()) chat_ = std::move(*chat);
}

Result<std::vector<int32_t>> NamedModel::tokenize(std::string_view text, uint32_t flags) const {
  std::vector<int32_t> tokens(text.size() / 2 + 16);
  size_t count = tokens.size();
  midge_status status =
      midge_tokenize(model_, text.data(), text.size(), flags, tokens.data(), &count);
  if (status == MIDGE_TOO_SMALL) {
    tokens.resize(count);
    status = midge_tokenize(model_, text.data(), text.size(), flags, tokens.data(), &count);
  }
  if (status != MIDGE_OK) return error_of(model_, status);
  tokens.resize(count);
  return tokens;
}

Result<std::string> NamedModel::detokenize(const std::vector<int32_t>& tokens,
                                           bool with_special) const {
  std::string text(tokens.size() * 8 + 16, '\0');
  size_t bytes = text.size();
  midge_status status =
      midge_detokenize(model_, tokens.data(), tokens.size(), with_special, text.data(), &bytes);
  if (status == MIDGE_TOO_SMALL) {
    text.resize(bytes);
    status =
        midge_detokenize(model_, tokens.data(), tokens.size(), with_special, text.data(), &bytes);
  }
  if (status != MIDGE_OK) return error_of(model_, status);
  text.resize(bytes);
  return text;
}

// A text may drop the space that it begins with. Of two tokens only the first one begins it.
std::string NamedModel::inner_bytes(int32_t token, bool with_special) const {
  const Result<std::string> twice = detokenize({token, token}, with_special);
  return twice.ok() ? twice->substr(twice->size() / 2) : std::string();
}

// Behind 0xFF a token cannot be spelled by the texts of an answer, only be named by a grammar.
void NamedModel::read_vocabulary() {
  GrammarVocabulary vocabulary;
  vocabulary.tokens.resize(static_cast<size_t>(info_.vocab_size));
  for (int32_t id = 0; id < info_.vocab_size; ++id) {
    std::string& token = vocabulary.tokens[static_cast<size_t>(id)];
    token = inner_bytes(id, false);
    if (!token.empty()) continue;
    const std::string special = token_bytes(id);
    if (!special.empty()) token = "\xFF" + special;
  }
  vocabulary.stop_ids.assign(info_.stop_ids, info_.stop_ids + info_.stop_id_count);
  if (!vocabulary.stop_ids.empty()) grammars_ = GrammarMaker::create(vocabulary);
}

bool NamedModel::is_special(std::string_view text) const {
  const Result<std::vector<int32_t>> tokens = tokenize(text, MIDGE_SPECIAL_PARSED);
  if (!tokens.ok() || tokens->size() != 1) return false;
  return inner_bytes(tokens->front(), false).empty();
}

// How a grammar names a tag: special tokens by their own names, others as text.
std::string NamedModel::tag(std::string_view text) const {
  return is_special(text) ? std::string(text) : "\"" + std::string(text) + "\"";
}

// The calls as the template writes them: in tags, one object each, or one list of objects. Each
// schema is a rule of its own, so that its references find their root.
Result<std::string> NamedModel::tool_grammar(const TextRule& rule) const {
  if (!chat_.has_value() || !chat_->has_tools) {
    return make_status(StatusCode::kUnsupported, "the chat template of '%s' knows no tools",
                       name_.c_str());
  }
  std::string call;
  std::string rules;
  for (size_t i = 0; i < rule.functions.size(); ++i) {
    const auto& [name, parameters] = rule.functions[i];  // a name of letters, digits, - and _
    const std::string number = std::to_string(i);
    call += (i == 0 ? "call: call_" : " | call_") + number;
    rules += "call_" + number + ": \"{\\\"name\\\": \\\"" + name +
             "\\\", \\\"arguments\\\": \" arguments_" + number + " \"}\"\n";
    rules += "arguments_" + number + ": %json " + with_short_space(parameters) + "\n";
  }
  // A list has few calls, so that a model that has lost its way comes to an end.
  const std::string more = rule.is_one_call ? "" : " (\", \" call){0,7}";
  const std::string start =
      chat_->family == ChatFamily::kPhi4Mini
          ? tag("<|tool_call|>") + " \"[\" call" + more + " \"]\" " + tag("<|/tool_call|>")
          : tag("<tool_call>") + " \"\\n\" call \"\\n\" " + tag("</tool_call>");
  return "start: " + start + "\n" + call + "\n" + rules;
}

Result<std::vector<std::unique_ptr<GrammarState>>> NamedModel::make_grammars(const TextRule& rule,
                                                                             int32_t count) {
  std::vector<std::unique_ptr<GrammarState>> made;
  if (rule.kind == TextRule::Kind::kAny) return made;
  if (!has_grammars()) {
    return Status(StatusCode::kUnsupported, "this build has no grammars (MIDGE_WITH_LLGUIDANCE)");
  }
  if (grammars_ == nullptr) read_vocabulary();
  if (grammars_ == nullptr) {
    return make_status(StatusCode::kUnsupported, "'%s' has no stop tokens, so no grammar can end",
                       name_.c_str());
  }
  for (int32_t i = 0; i < count; ++i) {
    Result<std::unique_ptr<GrammarState>> state = std::unique_ptr<GrammarState>();
    if (rule.kind == TextRule::Kind::kToolCalls) {
      MIDGE_ASSIGN_OR_RETURN(const std::string grammar, tool_grammar(rule));
      state = grammars_->lark(grammar);
    } else {
      state = grammars_->json(rule.schema);
    }
    MIDGE_RETURN_IF_ERROR(state.status());
    made.push_back(std::move(*state));
  }
  return made;
}

}  // namespace midge
