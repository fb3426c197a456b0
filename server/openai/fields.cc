#include "server/openai/fields.h"

#include <algorithm>

#include "engine/formats/json_writer.h"

namespace midge {

std::string Refusal::body() const {
  JsonWriter json;
  json.begin_object().begin_object("error").member("message", message).member("type", type);
  const auto text_or_null = [&](const char* key, const std::string& text) {
    text.empty() ? json.member_json(key, "null") : json.member(key, text);
  };
  text_or_null("param", param);
  text_or_null("code", code);
  json.end_object().end_object();
  return json.text();
}

std::optional<simdjson::dom::element> RequestFields::element(std::string_view key) {
  read_.push_back(key);
  Element value;
  if (object_.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

bool RequestFields::has(std::string_view key) { return element(key).has_value(); }

void RequestFields::refuse(std::string_view key, std::string message, std::string code) {
  if (refusal_.has_value()) return;
  refusal_.emplace();
  refusal_->param = path_of(key);
  refusal_->code = std::move(code);
  refusal_->message = std::move(message);
}

void RequestFields::wrong_type(std::string_view key, Element value, const char* expected) {
  refuse(key, "'" + path_of(key) + "' is " + json_type_name(value) + ", expected " + expected);
}

int64_t RequestFields::integer(std::string_view key, int64_t min, int64_t max, int64_t other) {
  const std::optional<Element> value = element(key);
  if (!value.has_value()) return other;
  int64_t number = 0;
  double real = 0;
  if (value->get_int64().get(number) != simdjson::SUCCESS) {
    // 16.0 is a whole number too; some clients write one.
    constexpr double kExact = 9007199254740992.0;
    if (value->get_double().get(real) != simdjson::SUCCESS) {
      wrong_type(key, *value, "a whole number");
      return other;
    }
    if (!(real >= -kExact && real <= kExact) || real != static_cast<double>(int64_t(real))) {
      refuse(key, "'" + path_of(key) +
                      format_string("' is %g, expected a whole number from %lld to %lld", real,
                                    static_cast<long long>(min), static_cast<long long>(max)));
      return other;
    }
    number = static_cast<int64_t>(real);
  }
  if (number >= min && number <= max) return number;
  refuse(key, "'" + path_of(key) +
                  format_string("' is %lld, expected %lld to %lld", static_cast<long long>(number),
                                static_cast<long long>(min), static_cast<long long>(max)));
  return other;
}

double RequestFields::number(std::string_view key, double min, double max, double other) {
  const std::optional<Element> value = element(key);
  if (!value.has_value()) return other;
  double number = 0;
  if (value->get_double().get(number) != simdjson::SUCCESS) {
    wrong_type(key, *value, "a number");
    return other;
  }
  if (number >= min && number <= max) return number;
  refuse(key, "'" + path_of(key) + format_string("' is %g, expected %g to %g", number, min, max));
  return other;
}

bool RequestFields::boolean(std::string_view key, bool other) {
  const std::optional<Element> value = element(key);
  bool flag = other;
  if (value.has_value() && value->get_bool().get(flag) != simdjson::SUCCESS) {
    wrong_type(key, *value, "true or false");
  }
  return flag;
}

std::string_view RequestFields::string(std::string_view key, std::string_view other) {
  const std::optional<Element> value = element(key);
  std::string_view text = other;
  if (value.has_value() && value->get_string().get(text) != simdjson::SUCCESS) {
    wrong_type(key, *value, "a string");
  }
  return text;
}

std::optional<simdjson::dom::array> RequestFields::array(std::string_view key) {
  const std::optional<Element> value = element(key);
  if (!value.has_value()) return std::nullopt;
  simdjson::dom::array items;
  if (value->get_array().get(items) == simdjson::SUCCESS) return items;
  wrong_type(key, *value, "a list");
  return std::nullopt;
}

std::optional<simdjson::dom::object> RequestFields::object(std::string_view key) {
  const std::optional<Element> value = element(key);
  if (!value.has_value()) return std::nullopt;
  simdjson::dom::object members;
  if (value->get_object().get(members) == simdjson::SUCCESS) return members;
  wrong_type(key, *value, "an object");
  return std::nullopt;
}

void RequestFields::accept_only(std::string_view key, bool value) {
  if (boolean(key, value) == value) return;
  refuse(key, "'" + path_of(key) + "' can only be " + (value ? "true" : "false") + " here",
         "unsupported_value");
}

void RequestFields::accept_only(std::string_view key, int64_t value) {
  if (integer(key, INT64_MIN, INT64_MAX, value) == value) return;
  refuse(key, "'" + path_of(key) + "' can only be " + std::to_string(value) + " here",
         "unsupported_value");
}

void RequestFields::accept_only(std::string_view key, std::string_view value) {
  if (string(key, value) == value) return;
  refuse(key, "'" + path_of(key) + "' can only be '" + std::string(value) + "' here",
         "unsupported_value");
}

void RequestFields::refuse_unread() {
  for (const auto& [key, value] : object_) {
    if (std::find(read_.begin(), read_.end(), key) != read_.end()) continue;
    // One that is null asks for nothing.
    if (value.is_null()) continue;
    constexpr size_t kShown = 64;
    const std::string name(key.substr(0, kShown));
    refuse(name, "'" + path_of(name) + "' is not supported", "unsupported_parameter");
  }
}

void RequestFields::take(const RequestFields& part) {
  if (ok() && !part.ok()) refusal_ = part.refusal_;
}

}  // namespace midge
