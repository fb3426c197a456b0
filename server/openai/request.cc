#include "server/openai/request.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/formats/json_writer.h"
#include "server/schema/schema_check.h"

namespace midge {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

std::string json_text(element value) { return simdjson::minify(value); }

// Calls read(fields) on the body, which must be an object of known members.
template <typename Read>
bool read_body(std::string_view body, Refusal* refusal, const Read& read) {
  const Result<JsonDocument> document = JsonDocument::parse("body", body);
  if (!document.ok()) {
    *refusal = Refusal();
    refusal->message = document.status().message();
    return false;
  }
  const Result<JsonObject> root = document->root();
  if (!root.ok()) {
    *refusal = Refusal();
    refusal->message = root.status().message();
    return false;
  }
  RequestFields fields(root->members());
  read(fields);
  fields.refuse_unread();
  if (!fields.ok()) *refusal = fields.refusal();
  return fields.ok();
}

void add_stop(RequestFields& fields, std::string_view text, CommonRequest* request) {
  if (text.empty() || text.size() > kStopBytesMax || text.find('\0') != std::string_view::npos) {
    fields.refuse("stop", format_string("'stop' has a text of %zu bytes, expected 1 to %zu, and no "
                                        "NUL",
                                        text.size(), kStopBytesMax));
  }
  request->stops.emplace_back(text);
}

void read_stops(RequestFields& fields, CommonRequest* request) {
  const std::optional<element> value = fields.element("stop");
  if (!value.has_value()) return;
  std::string_view text;
  if (value->get_string().get(text) == simdjson::SUCCESS) {
    if (!text.empty()) add_stop(fields, text, request);
    return;
  }
  array items;
  if (value->get_array().get(items) != simdjson::SUCCESS) {
    return fields.refuse("stop", std::string("'stop' is ") + json_type_name(*value) +
                                     ", expected a string or a list of strings");
  }
  for (const element item : items) {
    if (item.get_string().get(text) != simdjson::SUCCESS) {
      return fields.refuse(
          "stop", std::string("'stop' has ") + json_type_name(item) + ", expected strings");
    }
    if (request->stops.size() == kStopsMax) {
      return fields.refuse("stop", format_string("'stop' has more than %zu texts", kStopsMax));
    }
    add_stop(fields, text, request);
  }
}

void read_logit_bias(RequestFields& fields, CommonRequest* request) {
  const std::optional<object> members = fields.object("logit_bias");
  if (!members.has_value()) return;
  for (const auto& [key, value] : *members) {
    midge_logprob bias = {};
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), bias.token);
    double number = 0;
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || bias.token < 0 ||
        value.get_double().get(number) != simdjson::SUCCESS || !(std::abs(number) <= 100)) {
      return fields.refuse("logit_bias", "'logit_bias' maps token ids to numbers from -100 to 100");
    }
    if (request->logit_bias.size() == kLogitBiasMax) {
      return fields.refuse("logit_bias",
                           format_string("'logit_bias' has more than %zu tokens", kLogitBiasMax));
    }
    bias.logprob = static_cast<float>(number);
    request->logit_bias.push_back(bias);
  }
}

void read_seed(RequestFields& fields, CommonRequest* request) {
  if (!fields.has("seed")) return;
  request->has_seed = true;
  request->seed = static_cast<uint64_t>(fields.integer("seed", INT64_MIN, INT64_MAX, 0));
}

void read_stream(RequestFields& fields, CommonRequest* request) {
  request->stream = fields.boolean("stream", false);
  const std::optional<object> options = fields.object("stream_options");
  if (!options.has_value()) return;
  if (!request->stream) fields.refuse("stream_options", "'stream_options' without 'stream'");
  RequestFields inner(*options, "stream_options.");
  request->include_usage = inner.boolean("include_usage", false);
  inner.accept_only("include_obfuscation", false);
  inner.refuse_unread();
  fields.take(inner);
}

// Numbers of more tokens than an id can have are no number of tokens.
constexpr int64_t kTokensMax = INT32_MAX;

void read_common(RequestFields& fields, CommonRequest* request) {
  request->model = fields.string("model");
  read_stream(fields, request);
  request->n = static_cast<int32_t>(fields.integer("n", 1, kChoicesMax, 1));
  request->temperature = static_cast<float>(fields.number("temperature", 0, 100, 1));
  request->top_p = static_cast<float>(fields.number("top_p", 0, 1, 1));
  // A share of nothing keeps the best token, as a small one does.
  if (request->top_p <= 0) request->top_p = 1e-6f;
  request->top_k = static_cast<int32_t>(fields.integer("top_k", -1, INT32_MAX, 0));
  if (request->top_k < 0) request->top_k = 0;  // vLLM's "all"
  request->min_p = static_cast<float>(fields.number("min_p", 0, 1, 0));
  request->repetition_penalty =
      static_cast<float>(fields.number("repetition_penalty", 0.01, 100, 1));
  request->presence_penalty = static_cast<float>(fields.number("presence_penalty", -2, 2, 0));
  request->frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2, 0));
  request->ignore_stop_tokens = fields.boolean("ignore_eos", false);
  read_seed(fields, request);
  read_stops(fields, request);
  read_logit_bias(fields, request);
  // Who asks, and what a cache elsewhere would be told.
  fields.accept("user");
  fields.accept("safety_identifier");
  fields.accept("prompt_cache_key");
}

// ---------------------------------------------------------------------------------------- chat --

/// One message in the terms of chat_json.h.
class MessageReader {
 public:
  MessageReader(RequestFields& fields, JsonWriter& json) : fields_(fields), json_(json) {}

  void read(size_t index, element value) {
    const std::string path = format_string("messages[%zu]", index);
    object members;
    if (value.get_object().get(members) != simdjson::SUCCESS) {
      return fields_.refuse(path,
                            "'" + path + "' is " + json_type_name(value) + ", expected an object");
    }
    RequestFields message(members, path + ".");
    read_members(message);
    message.refuse_unread();
    fields_.take(message);
  }

 private:
  void read_members(RequestFields& message) {
    std::string_view role = message.string("role");
    if (role == "developer") role = "system";
    const bool is_known =
        role == "system" || role == "user" || role == "assistant" || role == "tool";
    if (!is_known) {
      return message.refuse("role", "'" + message.path_of("role") +
                                        "' is not system, developer, user, assistant or tool");
    }
    json_.begin_object().member("role", role);
    const std::optional<array> calls = message.array("tool_calls");
    if (calls.has_value() && role != "assistant") {
      message.refuse("tool_calls", "only the assistant calls tools");
    }
    const bool has_calls = calls.has_value() && calls->size() > 0;
    read_content(message, has_calls);
    if (has_calls) read_calls(message, *calls);
    // Which of the calls a result is for does not stand in the models' templates: their order does.
    if (role == "tool") message.accept("tool_call_id");
    message.accept("name");  // templates have no place for it
    if (role == "assistant") {
      message.accept("refusal");
      message.accept("reasoning_content");  // thoughts are not shown to the model again
      message.accept("annotations");
    }
    json_.end_object();
  }

  void read_content(RequestFields& message, bool may_be_absent) {
    const std::optional<element> value = message.element("content");
    std::string_view text;
    array parts;
    if (!value.has_value()) {
      if (!may_be_absent)
        message.refuse("content", "'" + message.path_of("content") + "' is absent");
      return;
    }
    if (value->get_string().get(text) == simdjson::SUCCESS) {
      json_.member("content", text);
      return;
    }
    if (value->get_array().get(parts) != simdjson::SUCCESS) {
      return message.refuse("content", "'" + message.path_of("content") + "' is " +
                                           json_type_name(*value) +
                                           ", expected a string or a list of parts");
    }
    std::string whole;
    size_t i = 0;
    for (const element part : parts) {
      object members;
      const std::string place = message.path_of(format_string("content[%zu]", i++));
      if (part.get_object().get(members) != simdjson::SUCCESS) {
        return message.refuse(
            "content", "'" + place + "' is " + json_type_name(part) + ", expected an object");
      }
      RequestFields inner(members, place + ".");
      const std::string_view type = inner.string("type");
      if (type != "text") {
        inner.refuse("type", "'" + inner.path_of("type") + "' can only be 'text' here",
                     "unsupported_value");
      }
      whole += inner.string("text");
      inner.refuse_unread();
      message.take(inner);
    }
    json_.member("content", whole);
  }

  // Arguments come as a text that holds JSON; templates write the JSON.
  void read_calls(RequestFields& message, array calls) {
    json_.begin_array("tool_calls");
    size_t i = 0;
    for (const element item : calls) {
      object members;
      const std::string place = message.path_of(format_string("tool_calls[%zu]", i++));
      if (item.get_object().get(members) != simdjson::SUCCESS) {
        return message.refuse(
            "tool_calls", "'" + place + "' is " + json_type_name(item) + ", expected an object");
      }
      RequestFields call(members, place + ".");
      call.accept("id");
      call.accept("index");
      call.accept_only("type", std::string_view("function"));
      const std::optional<object> function = call.object("function");
      if (!function.has_value()) {
        call.refuse("function", "'" + call.path_of("function") + "' is absent");
      } else {
        RequestFields inner(*function, place + ".function.");
        const std::string_view name = inner.string("name");
        const std::string_view arguments = inner.string("arguments", "{}");
        const auto parsed = JsonDocument::parse("arguments", arguments, DuplicateKeys::kAllowed);
        if (!parsed.ok() || !parsed->root().ok()) {
          inner.refuse("arguments",
                       "'" + inner.path_of("arguments") + "' is not the text of a JSON object");
        } else {
          json_.begin_object().member("name", name).member_json("arguments", arguments);
          json_.end_object();
        }
        inner.refuse_unread();
        call.take(inner);
      }
      call.refuse_unread();
      message.take(call);
    }
    json_.end_array();
  }

  RequestFields& fields_;
  JsonWriter& json_;
};

void read_messages(RequestFields& fields, ChatRequest* request) {
  const std::optional<array> messages = fields.array("messages");
  if (!messages.has_value() || messages->size() == 0) {
    return fields.refuse("messages", "'messages' is absent or empty");
  }
  JsonWriter json;
  json.begin_array();
  MessageReader reader(fields, json);
  size_t i = 0;
  for (const element message : *messages) {
    if (!fields.ok()) return;
    reader.read(i++, message);
  }
  json.end_array();
  request->messages_json = json.text();
}

bool is_function_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), is_fine);
}

struct Tool {
  std::string name;
  std::string parameters;  // schema
};

std::vector<Tool> read_tool_list(RequestFields& fields, array items) {
  std::vector<Tool> tools;
  size_t i = 0;
  for (const element item : items) {
    const std::string place = format_string("tools[%zu]", i++);
    object members;
    if (item.get_object().get(members) != simdjson::SUCCESS) {
      fields.refuse(place, "'" + place + "' is " + json_type_name(item) + ", expected an object");
      return tools;
    }
    RequestFields tool(members, place + ".");
    tool.accept_only("type", std::string_view("function"));
    const std::optional<object> function = tool.object("function");
    if (!function.has_value()) {
      tool.refuse("function", "'" + tool.path_of("function") + "' is absent");
    } else {
      RequestFields inner(*function, place + ".function.");
      Tool known;
      known.name = inner.string("name");
      if (!is_function_name(known.name)) {
        inner.refuse("name", "'" + inner.path_of("name") +
                                 "' is not made of 1 to 64 letters, digits, - and _");
      }
      inner.string("description");
      inner.boolean("strict", false);
      const std::optional<element> parameters = inner.element("parameters");
      // Without any, as OpenAI defines it: the list is empty.
      known.parameters = "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}";
      if (parameters.has_value()) {
        if (!parameters->is_object()) {
          inner.refuse("parameters", "'" + inner.path_of("parameters") + "' is no object");
        }
        known.parameters = json_text(*parameters);
      }
      inner.refuse_unread();
      tool.take(inner);
      tools.push_back(std::move(known));
    }
    tool.refuse_unread();
    fields.take(tool);
  }
  return tools;
}

// tool_choice: none, auto, required, or one function.
void read_tools(RequestFields& fields, ChatRequest* request) {
  const std::optional<array> items = fields.array("tools");
  const std::optional<element> choice = fields.element("tool_choice");
  request->is_one_call = !fields.boolean("parallel_tool_calls", true);
  std::vector<Tool> tools;
  if (items.has_value()) {
    if (items->size() > kToolsMax) {
      return fields.refuse("tools", format_string("'tools' has more than %zu", kToolsMax));
    }
    tools = read_tool_list(fields, *items);
  }
  std::string_view word = tools.empty() ? "none" : "auto";
  std::string only;
  object chosen;
  if (choice.has_value() && choice->get_object().get(chosen) == simdjson::SUCCESS) {
    RequestFields inner(chosen, "tool_choice.");
    inner.accept_only("type", std::string_view("function"));
    const std::optional<object> function = inner.object("function");
    if (function.has_value()) {
      RequestFields named(*function, "tool_choice.function.");
      only = named.string("name");
      named.refuse_unread();
      inner.take(named);
    }
    inner.refuse_unread();
    fields.take(inner);
    word = "required";
    if (only.empty()) fields.refuse("tool_choice", "'tool_choice' names no function");
  } else if (choice.has_value() && choice->get_string().get(word) != simdjson::SUCCESS) {
    return fields.refuse("tool_choice", std::string("'tool_choice' is ") + json_type_name(*choice) +
                                            ", expected a string or an object");
  }
  if (word != "none" && word != "auto" && word != "required") {
    return fields.refuse("tool_choice", "'tool_choice' is not none, auto, required or a function");
  }
  if (tools.empty() && word != "none") {
    return fields.refuse("tool_choice", "'tool_choice' without 'tools'");
  }
  if (word == "none") return;
  request->tools_json = json_text(*fields.element("tools"));
  request->may_call = true;
  if (word != "required") return;
  request->rule.kind = TextRule::Kind::kToolCalls;
  request->is_one_call = request->is_one_call || !only.empty();
  request->rule.is_one_call = request->is_one_call;
  for (Tool& tool : tools) {
    if (!only.empty() && tool.name != only) continue;
    if (const auto wrong = find_unsupported(tool.parameters)) {
      return fields.refuse("tools", "the parameters of '" + tool.name + "': " + wrong->message +
                                        ", at " + wrong->pointer);
    }
    request->rule.functions.emplace_back(std::move(tool.name), std::move(tool.parameters));
  }
  if (request->rule.functions.empty()) {
    fields.refuse("tool_choice", "'tool_choice' names '" + only + "', which is none of the tools");
  }
}

void read_format(RequestFields& fields, ChatRequest* request) {
  const std::optional<object> format = fields.object("response_format");
  if (!format.has_value()) return;
  RequestFields inner(*format, "response_format.");
  const std::string_view type = inner.string("type");
  if (type == "json_object") {
    request->rule = {TextRule::Kind::kJsonSchema, "{\"type\":\"object\"}", {}};
  } else if (type == "json_schema") {
    const std::optional<object> given = inner.object("json_schema");
    if (!given.has_value()) {
      inner.refuse("json_schema", "'response_format.json_schema' is absent");
    } else {
      RequestFields named(*given, "response_format.json_schema.");
      named.string("name");
      named.string("description");
      named.boolean("strict", true);  // it always is
      const std::optional<element> schema = named.element("schema");
      if (!schema.has_value()) {
        named.refuse("schema", "'response_format.json_schema.schema' is absent");
      } else {
        request->rule = {TextRule::Kind::kJsonSchema, json_text(*schema), {}};
        if (const auto wrong = find_unsupported(request->rule.schema)) {
          named.refuse("schema", wrong->message + ", at " + wrong->pointer, "unsupported_schema");
        }
      }
      named.refuse_unread();
      inner.take(named);
    }
  } else if (type != "text") {
    inner.refuse("type", "'response_format.type' is not text, json_object or json_schema");
  }
  inner.refuse_unread();
  fields.take(inner);
}

// ---------------------------------------------------------------------------------- completions --

bool read_ids(array items, std::vector<int32_t>* tokens) {
  tokens->reserve(items.size());
  for (const element item : items) {
    int64_t id = 0;
    if (item.get_int64().get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) return false;
    tokens->push_back(static_cast<int32_t>(id));
  }
  return true;
}

// A text, texts, ids, or lists of ids.
bool add_prompts(element value, CompletionRequest* request) {
  std::string_view text;
  array items;
  if (value.get_string().get(text) == simdjson::SUCCESS) {
    request->prompts.push_back({std::string(text), {}, false});
    return true;
  }
  if (value.get_array().get(items) != simdjson::SUCCESS) return false;
  const bool is_ids = items.size() > 0 && (*items.begin()).is_int64();
  if (is_ids) {
    CompletionRequest::Prompt prompt;
    prompt.is_tokens = true;
    if (!read_ids(items, &prompt.tokens)) return false;
    request->prompts.push_back(std::move(prompt));
    return true;
  }
  for (const element item : items) {
    if (request->prompts.size() > static_cast<size_t>(kChoicesMax)) return true;  // refused later
    CompletionRequest::Prompt prompt;
    array ids;
    if (item.get_string().get(text) == simdjson::SUCCESS) {
      prompt.text = text;
    } else if (item.get_array().get(ids) == simdjson::SUCCESS && read_ids(ids, &prompt.tokens)) {
      prompt.is_tokens = true;
    } else {
      return false;
    }
    request->prompts.push_back(std::move(prompt));
  }
  return true;
}

void read_prompts(RequestFields& fields, CompletionRequest* request) {
  const std::optional<element> value = fields.element("prompt");
  if (!value.has_value()) return fields.refuse("prompt", "'prompt' is absent");
  if (!add_prompts(*value, request)) {
    return fields.refuse("prompt",
                         "'prompt' is not a string, a list of strings, a list of token ids or a "
                         "list of such lists");
  }
  if (request->prompts.empty()) return fields.refuse("prompt", "'prompt' is empty");
  const int64_t choices = static_cast<int64_t>(request->prompts.size()) * request->n;
  if (choices > kChoicesMax) {
    fields.refuse("prompt", format_string("%lld answers are asked for, at most %lld are given",
                                          static_cast<long long>(choices),
                                          static_cast<long long>(kChoicesMax)));
  }
}

}  // namespace

bool read_chat_request(std::string_view body, ChatRequest* request, Refusal* refusal) {
  return read_body(body, refusal, [&](RequestFields& fields) {
    read_common(fields, request);
    read_messages(fields, request);
    const int64_t older = fields.integer("max_tokens", 1, kTokensMax, -1);
    request->tokens_max = fields.integer("max_completion_tokens", 1, kTokensMax, older);
    request->logprobs = fields.boolean("logprobs", false);
    request->top_logprobs =
        static_cast<int32_t>(fields.integer("top_logprobs", 0, kTopLogprobsMax, 0));
    if (request->top_logprobs > 0 && !request->logprobs) {
      fields.refuse("top_logprobs", "'top_logprobs' without 'logprobs'");
    }
    read_tools(fields, request);
    read_format(fields, request);
    if (request->may_call && request->rule.kind == TextRule::Kind::kJsonSchema) {
      fields.refuse("response_format",
                    "'response_format' does not go with tools, unless 'tool_choice' is none");
    }
    // Behind the end of what a rule allows, nothing is left to be written.
    if (request->ignore_stop_tokens && request->rule.kind != TextRule::Kind::kAny) {
      fields.refuse(
          "ignore_eos",
          "'ignore_eos' does not go with 'response_format' or a tool that must be called");
    }
    fields.accept_only("store", false);
    fields.accept("metadata");
    fields.accept("service_tier");
    const std::optional<array> kinds = fields.array("modalities");
    if (kinds.has_value() && (kinds->size() != 1 || json_text(*kinds->begin()) != "\"text\"")) {
      fields.refuse("modalities", "'modalities' can only be [\"text\"] here", "unsupported_value");
    }
  });
}

bool read_completion_request(std::string_view body, CompletionRequest* request, Refusal* refusal) {
  return read_body(body, refusal, [&](RequestFields& fields) {
    read_common(fields, request);
    read_prompts(fields, request);
    request->tokens_max = fields.integer("max_tokens", 0, kTokensMax, 16);
    request->echo = fields.boolean("echo", false);
    if (request->tokens_max == 0 && !request->echo) {
      fields.refuse("max_tokens", "'max_tokens' is 0, which only 'echo' gives a meaning");
    }
    const int64_t top = fields.integer("logprobs", 0, kTopLogprobsMax, -1);
    request->logprobs = top >= 0;
    request->top_logprobs = static_cast<int32_t>(std::max<int64_t>(top, 0));
    fields.accept_only("best_of", int64_t{request->n});
    fields.accept_only("suffix", std::string_view());
  });
}

bool read_tokenize_request(std::string_view body, TokenizeRequest* request, Refusal* refusal) {
  return read_body(body, refusal, [&](RequestFields& fields) {
    request->model = fields.string("model");
    const bool has_prompt = fields.has("prompt");
    if (has_prompt == fields.has("content")) {
      return fields.refuse("prompt", "expected one of 'prompt' and 'content'");
    }
    request->text = fields.string(has_prompt ? "prompt" : "content");
    request->add_special_tokens = fields.boolean("add_special_tokens", true);
    request->parse_special = fields.boolean("parse_special", true);
  });
}

bool read_detokenize_request(std::string_view body, DetokenizeRequest* request, Refusal* refusal) {
  return read_body(body, refusal, [&](RequestFields& fields) {
    request->model = fields.string("model");
    const std::optional<array> items = fields.array("tokens");
    if (!items.has_value() || !read_ids(*items, &request->tokens)) {
      fields.refuse("tokens", "'tokens' is not a list of token ids");
    }
  });
}

}  // namespace midge
