// Which family a template belongs to: by its name, or by its source.
#include <algorithm>
#include <initializer_list>

#include "engine/chat/chat.h"
#include "engine/chat/chat_texts.h"
#include "engine/chat/template_source.h"

namespace midge {
namespace {

constexpr const char* kNames = "phi3, phi4, phi4-mini, phi4-mini-reasoning, mimo, smollm2";

// Default system texts of ChatML templates in use, longest first where one contains another.
constexpr std::string_view kDefaultSystems[] = {
    kMimoDefaultSystem,
    kSmollm2DefaultSystem,
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "You are a helpful assistant.",
};

// Phi-4-reasoning and -plus always begin with a long text of their own, of which this is the begin.
constexpr std::string_view kPhi4ReasoningBegin =
    "You are Phi, a language model trained by Microsoft";
constexpr std::string_view kPhi4SystemHead = "<|im_start|>system<|im_sep|>";
constexpr std::string_view kPhi4WithoutSystem =
    "{%ifmessages|length==0ormessages[0]['role']!='system'%}";

using Pieces = std::vector<std::string_view>;

// Keys of messages and names of roles.
constexpr std::string_view kKeys[] = {"role", "content", "system", "user", "assistant"};

constexpr std::string_view kPhi3Pieces[] = {"<|system|>\n", "<|user|>\n", "<|assistant|>\n",
                                            "<|end|>\n",    "<|",         "|>\n"};
constexpr std::string_view kPhi4Pieces[] = {"<|im_start|>", "<|im_sep|>", "<|im_end|>"};
constexpr std::string_view kPhi4MiniPieces[] = {"<|system|>", "<|user|>",  "<|assistant|>",
                                                "<|end|>",    "<|",        "|>",
                                                "<|tool|>",   "<|/tool|>", "tools"};
// Phi-4-mini-reasoning puts a space between its text and a system message.
constexpr std::string_view kPhi4MiniReasoningPieces[] = {
    "<|system|>", "<|user|>", "<|assistant|>",          "<|end|>", "<|", "|>", "<|tool|>",
    "<|/tool|>",  "tools",    kPhi4MiniReasoningSystem, " "};
constexpr std::string_view kChatMlPieces[] = {"<|im_start|>",   "<|im_end|>\n", "\n",
                                              "tools",          "tool",         "tool_calls",
                                              "function",       "name",         "arguments",
                                              kToolsHead,       kToolsTail,     kToolCallHead,
                                              kToolCallMiddle,  kToolCallTail,  kToolResponseHead,
                                              kToolResponseTail};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool contains_all(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [text](std::string_view part) { return contains(text, part); });
}

Status unknown_template(const std::string& why) {
  return make_status(StatusCode::kUnsupported,
                     "chat template %s; choose one by name (known: %s) if it fits the model",
                     why.c_str(), kNames);
}

// What is left of `text` behind the longest run of pieces, each taken as long as possible.
std::string_view skip_pieces(std::string_view text, const Pieces& pieces) {
  for (;;) {
    size_t longest = 0;
    for (const std::string_view piece : pieces) {
      if (piece.size() > longest && text.starts_with(piece)) longest = piece.size();
    }
    if (longest == 0) return text;
    text.remove_prefix(longest);
  }
}

// Tokens that the tokenizer's configuration names: an end token where no answer is asked for, which
// midge has no use for, and nothing else.
Status check_named_tokens(std::string_view code) {
  constexpr std::string_view kEnd = "eos_token";
  constexpr std::string_view kBefore = "{%else%}{{";
  for (const char* name : {"pad_token", "unk_token"}) {
    if (contains(code, name)) return unknown_template(format_string("writes %s", name));
  }
  for (size_t at = code.find(kEnd); at != std::string_view::npos; at = code.find(kEnd, at + 1)) {
    if (code.substr(0, at).ends_with(kBefore) && code.substr(at + kEnd.size()).starts_with("}}")) {
      continue;
    }
    return unknown_template("writes an end token, which its family does not have");
  }
  return Status();
}

// Refuses a template that can write, or does, anything beyond what its family has and, where it is
// not empty, its own text.
Status check_source(const TemplateSource& source, std::span<const std::string_view> family,
                    std::string_view own = {}) {
  Pieces pieces(family.begin(), family.end());
  pieces.insert(pieces.end(), std::begin(kKeys), std::end(kKeys));
  pieces.push_back(own);
  for (const std::string& text : source.texts) {
    const std::string_view rest = skip_pieces(text, pieces);
    if (rest.empty()) continue;
    return unknown_template("has the unknown text '" + printable(rest) + "'");
  }
  for (const std::string& call : source.calls) {
    if (call == "tojson" || call == "get") continue;
    return unknown_template("uses '" + printable(call) + "', which is not known");
  }
  if (contains(source.code, "messages[1:")) return unknown_template("leaves the first message out");
  return check_named_tokens(source.code);
}

// A default system text must give way to a system message.
Status check_default_system(const TemplateSource& source) {
  if (contains(source.code, "messages[0]['role']=='system'") ||
      contains(source.code, "messages[0]['role']!='system'")) {
    return Status();
  }
  return unknown_template("has a system message of its own beside the user's");
}

Status check_no_start_token(const TemplateSource& source) {
  if (!contains(source.code, "bos_token")) return Status();
  return unknown_template("writes a start token, which its family does not have");
}

Result<ChatTemplate> detect_phi4(const TemplateSource& source) {
  ChatTemplate chat = {ChatFamily::kPhi4};
  std::string fixed;
  size_t fixed_count = 0;
  for (const std::string& text : source.texts) {
    const size_t head = text.find(kPhi4SystemHead);
    if (head == std::string::npos) continue;
    const std::string_view rest = std::string_view(text).substr(head + kPhi4SystemHead.size());
    const size_t end = rest.find("<|im_end|>");
    if (end == std::string_view::npos || !rest.starts_with(kPhi4ReasoningBegin)) continue;
    fixed_count = fixed == rest.substr(0, end) ? fixed_count + 1 : 1;
    fixed = rest.substr(0, end);
  }
  if (!fixed.empty()) {
    // Where system messages are looked at too, it is not known what becomes of them; unless the
    // same text is written with one and without, as Unsloth's template does.
    const bool is_same = fixed_count == 2 && contains(source.code, kPhi4WithoutSystem) &&
                         contains(source.code, "{%ifmessages[0]['role']=='system'%}") &&
                         !contains(source.code, "messages[0]['content']");
    if (contains(source.code, "=='system'") && !is_same) {
      return unknown_template("has a system message of its own beside the user's");
    }
    if (is_same) {
      TemplateSource rest = source;
      std::erase(rest.calls, "length");
      MIDGE_RETURN_IF_ERROR(check_no_start_token(rest));
      MIDGE_RETURN_IF_ERROR(check_source(rest, kPhi4Pieces, fixed));
      return ChatTemplate{ChatFamily::kPhi4, SystemRule::kReplaced, fixed};
    }
    chat.system_rule = SystemRule::kReplaced;
    chat.system_text = fixed;
  }
  MIDGE_RETURN_IF_ERROR(check_no_start_token(source));
  MIDGE_RETURN_IF_ERROR(check_source(source, kPhi4Pieces, fixed));
  return chat;
}

Result<ChatTemplate> detect_chatml(const TemplateSource& source) {
  ChatTemplate chat = {ChatFamily::kChatMl};
  for (const std::string_view text : kDefaultSystems) {
    if (!contains(source.code, text)) continue;
    chat.system_text = text;
    break;
  }
  chat.has_tools = contains_all(
      source.code, {kToolsHead, kToolsTail, kToolCallHead, kToolResponseHead, kToolResponseTail});
  MIDGE_RETURN_IF_ERROR(check_no_start_token(source));
  if (chat.system_text.has_value()) MIDGE_RETURN_IF_ERROR(check_default_system(source));
  MIDGE_RETURN_IF_ERROR(check_source(source, kChatMlPieces, chat.system_text.value_or("")));
  return chat;
}

Result<ChatTemplate> detect_phi4_mini(const TemplateSource& source) {
  ChatTemplate chat = {ChatFamily::kPhi4Mini};
  const bool reasoning = contains(source.code, kPhi4MiniReasoningSystem);
  if (reasoning) {
    chat.system_rule = SystemRule::kAppended;
    chat.system_text = kPhi4MiniReasoningSystem;
  }
  chat.has_tools = contains_all(source.code, {"<|tool|>", "<|/tool|>"});
  MIDGE_RETURN_IF_ERROR(check_no_start_token(source));
  if (!reasoning && contains(source.code, "!='system'")) {
    return unknown_template("leaves system messages out");
  }
  MIDGE_RETURN_IF_ERROR(reasoning ? check_source(source, kPhi4MiniReasoningPieces)
                                  : check_source(source, kPhi4MiniPieces));
  return chat;
}

Result<ChatTemplate> detect_phi3(const TemplateSource& source) {
  ChatTemplate chat = {ChatFamily::kPhi3};
  if (contains(source.code, "=='system'andmessage['content']")) {
    chat.system_rule = SystemRule::kNonEmpty;
  }
  // The first uploads write <s> and know no system messages.
  if (contains(source.code, "bos_token")) chat.start_token = "<s>";
  if (!contains(source.code, "<|system|>") && !contains(source.code, "'<|'+message['role']")) {
    chat.system_rule = SystemRule::kReplaced;
  }
  MIDGE_RETURN_IF_ERROR(check_source(source, kPhi3Pieces));
  return chat;
}

}  // namespace

Result<ChatTemplate> chat_template_from_name(std::string_view name) {
  if (name == "phi3") return ChatTemplate{ChatFamily::kPhi3, SystemRule::kNonEmpty};
  if (name == "phi4") return ChatTemplate{ChatFamily::kPhi4};
  ChatTemplate chat;
  if (name == "smollm2") {
    chat.system_text = kSmollm2DefaultSystem;
    return chat;
  }
  chat.has_tools = true;
  if (name == "phi4-mini" || name == "phi4-mini-reasoning") {
    chat.family = ChatFamily::kPhi4Mini;
    if (name == "phi4-mini") return chat;
    chat.system_rule = SystemRule::kAppended;
    chat.system_text = kPhi4MiniReasoningSystem;
    return chat;
  }
  if (name == "mimo") {
    chat.system_text = kMimoDefaultSystem;
    return chat;
  }
  return make_status(StatusCode::kUnsupported, "chat template '%s' is not known (known: %s)",
                     printable(name).c_str(), kNames);
}

Result<ChatTemplate> detect_chat_template(std::string_view text) {
  if (text.empty()) return unknown_template("is missing");
  if (text.size() > kChatTemplateBytesMax) {
    return unknown_template(
        format_string("of %zu bytes is longer than %zu", text.size(), kChatTemplateBytesMax));
  }
  const auto read = read_template_source(text);
  if (!read.ok()) return unknown_template(read.status().message());
  const TemplateSource& source = *read;
  if (contains_all(source.code, {"<|im_start|>", "<|im_sep|>", "<|im_end|>"})) {
    return detect_phi4(source);
  }
  if (contains_all(source.code, {"<|im_start|>", "['role']+'\n'+", "['content']+'<|im_end|>\n'"})) {
    return detect_chatml(source);
  }
  // Phi-3 differs from Phi-4-mini by newlines after the role and the end only.
  if (contains(source.code, "|>'+message['content']+'<|end|>'")) return detect_phi4_mini(source);
  if (contains(source.code, "|>\n'+message['content']+'<|end|>\n")) return detect_phi3(source);
  return unknown_template("is not of a known family");
}

}  // namespace midge
