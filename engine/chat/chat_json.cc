#include "engine/chat/chat_json.h"
#include "engine/chat/json_string.h"
#include "engine/chat/template_json.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "engine/core/seeded_hash.h"
#include "engine/formats/json.h"

namespace midge {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::string_view kSpace = " \t\r\n";

// Python's repr: the shortest digits that give the number back, with an exponent below 1e-4 and
// from 1e16 on.
void write_float(double value, std::string* out) {
  char buffer[64];
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value,
                                 fixed ? std::chars_format::fixed : std::chars_format::scientific);
  const std::string_view text(buffer, static_cast<size_t>(end.ptr - buffer));
  *out += text;
  if (fixed && text.find('.') == std::string_view::npos) *out += ".0";
}

// Recursion is bounded by the depth that JsonDocument allows.
void write(element value, std::string* out);

void write_object(simdjson::dom::object object, std::string* out) {
  std::vector<std::pair<std::string_view, element>> members;
  std::unordered_map<std::string_view, size_t, SeededHash> places;
  for (const auto& [key, value] : object) {
    const auto [place, is_new] = places.try_emplace(key, members.size());
    if (is_new) {
      members.emplace_back(key, value);
    } else {
      members[place->second].second = value;
    }
  }
  *out += '{';
  for (size_t i = 0; i < members.size(); ++i) {
    if (out->size() > kChatJsonWrittenMax) return;  // which is refused
    if (i > 0) *out += ", ";
    append_json_string(members[i].first, out);
    *out += ": ";
    write(members[i].second, out);
  }
  *out += '}';
}

void write(element value, std::string* out) {
  switch (value.type()) {
    case element_type::OBJECT: write_object(value.get_object().value_unsafe(), out); return;
    case element_type::ARRAY: {
      const simdjson::dom::array items = value.get_array().value_unsafe();
      *out += '[';
      bool first = true;
      for (const element item : items) {
        if (out->size() > kChatJsonWrittenMax) return;
        if (!first) *out += ", ";
        first = false;
        write(item, out);
      }
      *out += ']';
      return;
    }
    case element_type::STRING: append_json_string(value.get_string().value_unsafe(), out); return;
    case element_type::INT64: *out += std::to_string(value.get_int64().value_unsafe()); return;
    case element_type::UINT64: *out += std::to_string(value.get_uint64().value_unsafe()); return;
    case element_type::DOUBLE: write_float(value.get_double().value_unsafe(), out); return;
    case element_type::BOOL: *out += value.get_bool().value_unsafe() ? "true" : "false"; return;
    case element_type::NULL_VALUE: *out += "null"; return;
  }
}

Status wrong(const std::string& place, std::string_view key, element value, const char* expected) {
  return make_status(StatusCode::kInvalidFile, "%s: '%s' is %s, expected %s", place.c_str(),
                     printable(key).c_str(), json_type_name(value), expected);
}

Result<JsonObject> as_object(const std::string& place, element value) {
  simdjson::dom::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile, "%s is %s, expected an object", place.c_str(),
                       json_type_name(value));
  }
  return JsonObject(object, &place);
}

Status too_long(const std::string& place) {
  return make_status(StatusCode::kInvalidFile,
                     "%s: takes more than %zu bytes as a template writes it", place.c_str(),
                     kChatJsonWrittenMax);
}

// {"name", "arguments"}, or these inside of "function". nullopt: not a call.
std::optional<ToolCall> read_call(element value) {
  element inner;
  if (value.at_key("function").get(inner) == simdjson::SUCCESS) value = inner;
  std::string_view name;
  element arguments;
  if (value.at_key("name").get_string().get(name) != simdjson::SUCCESS ||
      value.at_key("arguments").get(arguments) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return ToolCall{std::string(name), template_json(arguments)};
}

// What the calls of a file may still take.
struct CallRoom {
  size_t bytes = kChatJsonWrittenMax;  // of arguments
  size_t calls = kChatToolCallsMax;
};

Result<ChatMessage> read_message(const std::string& place, element value, CallRoom* room) {
  MIDGE_ASSIGN_OR_RETURN(const JsonObject object, as_object(place, value));
  MIDGE_RETURN_IF_ERROR(refuse_duplicate_keys(object));
  ChatMessage message;
  MIDGE_ASSIGN_OR_RETURN(const std::string_view role_name, object.string("role"));
  const std::optional<ChatRole> role = chat_role_from_name(role_name);
  if (!role.has_value()) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: role '%s', expected system, user, assistant, tool or tool_response",
                       place.c_str(), printable(role_name).c_str());
  }
  message.role = *role;
  if (object.has("tool_calls")) {
    MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array calls, object.array("tool_calls"));
    for (const element item : calls) {
      std::optional<ToolCall> call = read_call(item);
      if (!call.has_value()) {
        return wrong(place, "tool_calls", item, "objects with a string 'name' and 'arguments'");
      }
      if (call->arguments.size() > room->bytes) return too_long(place);
      room->bytes -= call->arguments.size();
      if (room->calls == 0) {
        return make_status(StatusCode::kInvalidFile, "%s: more than %zu tool calls in the file",
                           place.c_str(), kChatToolCallsMax);
      }
      --room->calls;
      message.tool_calls.push_back(std::move(*call));
    }
  }
  if (message.tool_calls.empty() || object.has("content")) {
    MIDGE_ASSIGN_OR_RETURN(message.content, object.string("content"));
  }
  return message;
}

// Takes `prefix` off the front of *text.
bool take(std::string_view prefix, std::string_view* text) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

void skip_space(std::string_view* text) {
  text->remove_prefix(std::min(text->find_first_not_of(kSpace), text->size()));
}

// Adds the calls of a JSON array. False: it is not one, or something in it is not a call.
bool add_calls(std::string_view text, std::vector<ToolCall>* calls) {
  const auto document = JsonDocument::parse("tool calls", text, DuplicateKeys::kAllowed);
  if (!document.ok()) return false;
  const auto list = document->root_array();
  if (!list.ok()) return false;
  for (const element item : *list) {
    std::optional<ToolCall> call = read_call(item);
    if (!call.has_value()) return false;
    calls->push_back(std::move(*call));
  }
  return true;
}

bool parse_calls_phi4_mini(std::string_view rest, std::vector<ToolCall>* calls) {
  if (take("<|tool_call|>", &rest)) {
    const size_t end = rest.find("<|/tool_call|>");
    if (end != std::string_view::npos) {
      std::string_view after = rest.substr(end + std::string_view("<|/tool_call|>").size());
      skip_space(&after);
      if (!after.empty()) return false;
      rest = rest.substr(0, end);
    }
    return add_calls(rest, calls);
  }
  return take("functools", &rest) && add_calls(rest, calls);
}

bool parse_calls_chatml(std::string_view rest, std::vector<ToolCall>* calls) {
  while (take("<tool_call>", &rest)) {
    const size_t end = std::min(rest.find("</tool_call>"), rest.size());
    std::string list = "[";
    list += rest.substr(0, end);
    list += ']';
    const size_t count = calls->size();
    if (!add_calls(list, calls) || calls->size() != count + 1) return false;
    rest.remove_prefix(end);
    take("</tool_call>", &rest);
    skip_space(&rest);
  }
  return rest.empty();
}

}  // namespace

std::string template_json(element value) {
  std::string text;
  write(value, &text);
  return text;
}

Result<std::vector<ChatTool>> parse_chat_tools(const std::string& name, std::string_view text) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::parse(name, text, DuplicateKeys::kAllowed));
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array list, document.root_array());
  std::vector<ChatTool> tools;
  size_t room = 2 * kChatJsonWrittenMax;  // two texts of each
  for (const element item : list) {
    const std::string place = format_string("%s: tool %zu", name.c_str(), tools.size());
    MIDGE_ASSIGN_OR_RETURN(const JsonObject object, as_object(place, item));
    element function = item;
    if (object.has("function")) {
      MIDGE_RETURN_IF_ERROR(object.object("function").status());
      function = item.at_key("function").value_unsafe();
    }
    MIDGE_ASSIGN_OR_RETURN(const JsonObject inner, as_object(place, function));
    MIDGE_RETURN_IF_ERROR(inner.string("name").status());
    ChatTool tool = {template_json(item), template_json(function)};
    if (tool.definition.size() + tool.function.size() > room) return too_long(place);
    room -= tool.definition.size() + tool.function.size();
    tools.push_back(std::move(tool));
  }
  return tools;
}

Result<std::vector<ChatMessage>> parse_chat_messages(const std::string& name,
                                                     std::string_view text) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::parse(name, text, DuplicateKeys::kAllowed));
  MIDGE_ASSIGN_OR_RETURN(const simdjson::dom::array list, document.root_array());
  std::vector<ChatMessage> messages;
  CallRoom room;
  for (const element item : list) {
    if (messages.size() == kChatMessagesMax) {
      return make_status(StatusCode::kInvalidFile, "%s: more than %zu messages", name.c_str(),
                         kChatMessagesMax);
    }
    const std::string place = format_string("%s: message %zu", name.c_str(), messages.size());
    MIDGE_ASSIGN_OR_RETURN(ChatMessage message, read_message(place, item, &room));
    messages.push_back(std::move(message));
  }
  return messages;
}

ParsedAnswer parse_tool_calls(ChatFamily family, std::string_view answer) {
  ParsedAnswer parsed;
  size_t begin = std::string_view::npos;
  bool found = false;
  if (family == ChatFamily::kChatMl) {
    begin = answer.find("<tool_call>");
  } else if (family == ChatFamily::kPhi4Mini) {
    begin = std::min(answer.find("<|tool_call|>"), answer.find("functools["));
  }
  if (begin < answer.size()) {
    const std::string_view rest = answer.substr(begin);
    found = family == ChatFamily::kChatMl ? parse_calls_chatml(rest, &parsed.tool_calls)
                                          : parse_calls_phi4_mini(rest, &parsed.tool_calls);
  }
  if (!found || parsed.tool_calls.empty()) return {std::string(answer), {}};
  const size_t last = answer.substr(0, begin).find_last_not_of(kSpace);
  if (last != std::string_view::npos) parsed.content = answer.substr(0, last + 1);
  return parsed;
}

}  // namespace midge
