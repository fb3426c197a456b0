#include "engine/formats/json.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// An upper bound of what the parser will take: every value follows one of these characters.
uint64_t parsed_bytes(std::string_view text) {
  uint64_t values = 1;
  for (const char c : text) values += c == ',' || c == ':' || c == '[' || c == '{';
  return values * kJsonValueBytes + 2 * text.size();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The end of the string whose content begins at `at`, behind its quote.
const char* end_of_string(const char* at, const char* end) {
  while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
  return at < end ? at + 1 : end;
}

// Whether simdjson takes its slow path for the number of these digits: one with a point or an
// exponent, of more than 19 characters from the first digit on that is not 0 (write_float in
// simdjson.h; the point counts).
bool is_long(std::string_view digits, bool has_exponent) {
  if (digits.size() <= kJsonShortDigitsMax) return false;
  const size_t first = digits.find_first_not_of("0.");
  if (first == std::string_view::npos || digits.size() - first <= kJsonShortDigitsMax) return false;
  return has_exponent || digits.find('.') != std::string_view::npos;
}

// The offset of the first long number beyond `max` of them; text.size() if there are no more.
size_t find_excess_long_number(std::string_view text, size_t max) {
  size_t count = 0;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    if (*at == '"') {
      at = end_of_string(at + 1, end);
    } else if (!is_digit(*at)) {
      ++at;
    } else {
      const char* const begin = at;
      while (at < end && (is_digit(*at) || *at == '.')) ++at;
      const bool has_exponent = at < end && (*at == 'e' || *at == 'E');
      if (!is_long({begin, static_cast<size_t>(at - begin)}, has_exponent)) continue;
      if (count == max) return static_cast<size_t>(begin - text.data());
      ++count;
    }
  }
  return text.size();
}

// The same text with integers of more digits than simdjson takes as floats: what has no limit is
// often written as 10^30. Nobody reads such a number as an integer.
std::string with_floats_for_long_integers(std::string_view text) {
  std::string changed;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const char* const begin = at;
    if (*at == '"') {
      at = end_of_string(at + 1, end);
    } else if (!is_digit(*at)) {
      ++at;
    } else {
      while (at < end && is_digit(*at)) ++at;
    }
    changed.append(begin, at);
    const bool is_whole = at == end || (*at != '.' && *at != 'e' && *at != 'E');
    if (is_digit(*begin) && is_whole && static_cast<size_t>(at - begin) > kJsonShortDigitsMax) {
      changed += "e0";
    }
  }
  return changed;
}

// What a document must not be, to be parsed at all.
Status check_limits(const std::string& name, std::string_view text, const JsonLimits& limits) {
  const uint64_t bytes = parsed_bytes(text);
  if (bytes > limits.parsed_bytes) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: JSON that takes up to %llu bytes when parsed, expected at most %llu",
                       name.c_str(), static_cast<unsigned long long>(bytes),
                       static_cast<unsigned long long>(limits.parsed_bytes));
  }
  const size_t excess = find_excess_long_number(text, limits.long_numbers);
  if (excess < text.size()) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: the number at offset %zu has more than %zu digits, expected at most "
                       "%zu such numbers",
                       name.c_str(), excess, kJsonShortDigitsMax, limits.long_numbers);
  }
  return Status();
}

// Any key that `object` has twice, or nothing. `keys` is room that is used again.
std::optional<std::string_view> duplicate_key(simdjson::dom::object object,
                                              std::vector<std::string_view>* keys) {
  keys->clear();
  for (const auto member : object) keys->push_back(member.key);
  // Sorted: no set of keys takes longer than n log n.
  std::sort(keys->begin(), keys->end());
  const auto found = std::adjacent_find(keys->begin(), keys->end());
  return found == keys->end() ? std::nullopt : std::optional(*found);
}

Status twice(const std::string& name, std::string_view key, std::string_view place) {
  const std::string where = place.empty() ? "" : " in '" + printable(place) + "'";
  return make_status(StatusCode::kInvalidFile, "%s: key '%s' is there twice%s", name.c_str(),
                     printable(key).c_str(), where.c_str());
}

// Looks at every object below `value`, which is under the key `place`. The parser bounds the depth.
Status refuse_duplicates_below(const std::string& name, std::string_view place,
                               simdjson::dom::element value, std::vector<std::string_view>* keys) {
  simdjson::dom::object object;
  simdjson::dom::array array;
  if (value.get_object().get(object) == simdjson::SUCCESS) {
    const std::optional<std::string_view> key = duplicate_key(object, keys);
    if (key.has_value()) return twice(name, *key, place);
    for (const auto member : object) {
      MIDGE_RETURN_IF_ERROR(refuse_duplicates_below(name, member.key, member.value, keys));
    }
  } else if (value.get_array().get(array) == simdjson::SUCCESS) {
    for (const simdjson::dom::element item : array) {
      MIDGE_RETURN_IF_ERROR(refuse_duplicates_below(name, place, item, keys));
    }
  }
  return Status();
}

}  // namespace

const char* json_type_name(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY: return "an array";
    case element_type::OBJECT: return "an object";
    case element_type::INT64:
    case element_type::UINT64: return "an integer";
    case element_type::DOUBLE: return "a fraction";
    case element_type::STRING: return "a string";
    case element_type::BOOL: return "a boolean";
    case element_type::NULL_VALUE: return "null";
  }
  return "unknown";
}

bool JsonObject::has(std::string_view key) const {
  simdjson::dom::element element;
  return object_.at_key(key).get(element) == simdjson::SUCCESS && !element.is_null();
}

Status JsonObject::wrong(std::string_view key, const char* expected) const {
  simdjson::dom::element element;
  if (object_.at_key(key).get(element) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile, "%s: '%s' is missing, expected %s", name_->c_str(),
                       printable(key).c_str(), expected);
  }
  return make_status(StatusCode::kInvalidFile, "%s: '%s' is %s, expected %s", name_->c_str(),
                     printable(key).c_str(), json_type_name(element), expected);
}

Result<int64_t> JsonObject::integer(std::string_view key, int64_t min, int64_t max) const {
  int64_t value = 0;
  if (object_.at_key(key).get_int64().get(value) != simdjson::SUCCESS) {
    uint64_t beyond = 0;
    if (object_.at_key(key).get_uint64().get(beyond) != simdjson::SUCCESS) {
      return wrong(key, "an integer");
    }
    return make_status(StatusCode::kInvalidFile, "%s: '%s' is %llu, expected %lld..%lld",
                       name_->c_str(), printable(key).c_str(),
                       static_cast<unsigned long long>(beyond), static_cast<long long>(min),
                       static_cast<long long>(max));
  }
  if (value < min || value > max) {
    return make_status(StatusCode::kInvalidFile, "%s: '%s' is %lld, expected %lld..%lld",
                       name_->c_str(), printable(key).c_str(), static_cast<long long>(value),
                       static_cast<long long>(min), static_cast<long long>(max));
  }
  return value;
}

Result<double> JsonObject::number(std::string_view key) const {
  double value = 0;
  // get_double accepts integers too.
  if (object_.at_key(key).get_double().get(value) != simdjson::SUCCESS || !std::isfinite(value)) {
    return wrong(key, "a number");
  }
  return value;
}

Result<bool> JsonObject::boolean(std::string_view key) const {
  bool value = false;
  if (object_.at_key(key).get_bool().get(value) != simdjson::SUCCESS) {
    return wrong(key, "true or false");
  }
  return value;
}

Result<std::string_view> JsonObject::string(std::string_view key) const {
  std::string_view value;
  if (object_.at_key(key).get_string().get(value) != simdjson::SUCCESS) {
    return wrong(key, "a string");
  }
  return value;
}

Result<JsonObject> JsonObject::object(std::string_view key) const {
  simdjson::dom::object value;
  if (object_.at_key(key).get_object().get(value) != simdjson::SUCCESS) {
    return wrong(key, "an object");
  }
  return JsonObject(value, name_);
}

Result<simdjson::dom::array> JsonObject::array(std::string_view key) const {
  simdjson::dom::array value;
  if (object_.at_key(key).get_array().get(value) != simdjson::SUCCESS) {
    return wrong(key, "an array");
  }
  return value;
}

Result<int64_t> JsonObject::integer_or(std::string_view key, int64_t min, int64_t max,
                                       int64_t other) const {
  if (!has(key)) return other;
  return integer(key, min, max);
}

Result<double> JsonObject::number_or(std::string_view key, double other) const {
  if (!has(key)) return other;
  return number(key);
}

Result<bool> JsonObject::boolean_or(std::string_view key, bool other) const {
  if (!has(key)) return other;
  return boolean(key);
}

Result<std::string_view> JsonObject::string_or(std::string_view key, std::string_view other) const {
  if (!has(key)) return other;
  return string(key);
}

Status refuse_duplicate_keys(const JsonObject& object) {
  std::vector<std::string_view> keys;
  const std::optional<std::string_view> key = duplicate_key(object.members(), &keys);
  return key.has_value() ? twice(object.name(), *key, "") : Status();
}

Result<JsonDocument> JsonDocument::parse(std::string name, std::string_view text,
                                         DuplicateKeys duplicates, const JsonLimits& limits) {
  JsonDocument document;
  document.state_ = std::make_unique<State>();
  State& state = *document.state_;
  state.name = std::move(name);
  // Editors of Windows mark texts so; whoever reads JSON may ignore it (RFC 8259, 8.1).
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  MIDGE_RETURN_IF_ERROR(check_limits(state.name, text, limits));
  // The parser's index of the text, as large as the document, ends with this function.
  simdjson::dom::parser parser;
  auto error = parser.allocate(text.size(), kJsonDepthMax);
  if (error == simdjson::SUCCESS) {
    // The parser copies the text into a padded buffer of its own.
    error =
        parser.parse_into_document(state.document, text.data(), text.size(), true).get(state.root);
  }
  if (error == simdjson::NUMBER_ERROR && limits.takes_long_integers) {
    const std::string changed = with_floats_for_long_integers(text);
    MIDGE_RETURN_IF_ERROR(check_limits(state.name, changed, limits));
    error = parser.parse_into_document(state.document, changed.data(), changed.size(), true)
                .get(state.root);
  }
  if (error != simdjson::SUCCESS) {
    const StatusCode code =
        error == simdjson::MEMALLOC ? StatusCode::kOutOfMemory : StatusCode::kInvalidFile;
    return make_status(code, "%s: not valid JSON: %s", state.name.c_str(),
                       simdjson::error_message(error));
  }
  if (duplicates == DuplicateKeys::kRefused) {
    std::vector<std::string_view> keys;
    MIDGE_RETURN_IF_ERROR(refuse_duplicates_below(state.name, "", state.root, &keys));
  }
  return document;
}

Result<JsonDocument> JsonDocument::load(const std::string& path, uint64_t bytes_max,
                                        const JsonLimits& limits) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_small_file(path, bytes_max));
  return parse(shown_path(path), text, DuplicateKeys::kRefused, limits);
}

Result<JsonObject> JsonDocument::root() const {
  simdjson::dom::object object;
  if (state_->root.get_object().get(object) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile, "%s: is %s, expected an object",
                       state_->name.c_str(), json_type_name(state_->root));
  }
  return JsonObject(object, &state_->name);
}

Result<simdjson::dom::array> JsonDocument::root_array() const {
  simdjson::dom::array array;
  if (state_->root.get_array().get(array) != simdjson::SUCCESS) {
    return make_status(StatusCode::kInvalidFile, "%s: is %s, expected an array",
                       state_->name.c_str(), json_type_name(state_->root));
  }
  return array;
}

}  // namespace midge
