#include "server/schema/schema_check.h"

#include <algorithm>
#include <span>

#include "engine/formats/json.h"

namespace midge {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;
using Names = std::span<const std::string_view>;

bool is_one_of(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What the keywords of llguidance 1.9 hold. Those with schemas below come first.
constexpr std::string_view kOfSchemas[] = {"properties", "patternProperties", "$defs",
                                           "definitions"};
constexpr std::string_view kOfList[] = {"anyOf", "oneOf", "allOf", "prefixItems"};
constexpr std::string_view kOfSchema[] = {"items", "additionalProperties", "additionalItems"};
constexpr std::string_view kOfCount[] = {"minItems",  "maxItems",      "minLength",
                                         "maxLength", "minProperties", "maxProperties"};
constexpr std::string_view kOfNumber[] = {"minimum", "maximum", "exclusiveMinimum",
                                          "exclusiveMaximum", "multipleOf"};
constexpr std::string_view kThatDescribe[] = {"title",      "description", "default",
                                              "examples",   "$comment",    "$schema",
                                              "deprecated", "readOnly",    "writeOnly"};
constexpr std::string_view kTypes[] = {"null",   "boolean", "number", "integer",
                                       "string", "array",   "object"};
constexpr std::string_view kFormats[] = {"date-time", "time", "date", "duration", "email",
                                         "hostname",  "ipv4", "ipv6", "uuid",     "uri"};

// "~" and "/" have other names in a pointer.
std::string pointer_part(std::string_view key) {
  constexpr size_t kShown = 64;
  std::string part = "/";
  for (const char c : key.substr(0, kShown)) {
    if (c == '~')
      part += "~0";
    else if (c == '/')
      part += "~1";
    else
      part += c;
  }
  return part;
}

class SchemaWalk {
 public:
  std::optional<SchemaFault> fault;

  // Recursion is bounded by the depth of the document.
  void check(element schema, const std::string& pointer) {
    if (fault.has_value()) return;
    if (++count_ > kSchemasMax) {
      return fail(pointer, "more than " + std::to_string(kSchemasMax) + " schemas");
    }
    if (schema.is_bool()) return;
    object members;
    if (schema.get_object().get(members) != simdjson::SUCCESS) {
      return fail(pointer,
                  std::string("a schema is ") + json_type_name(schema) + ", expected an object");
    }
    check(members, pointer);
  }
  void check(object members, const std::string& pointer) {
    for (const auto& [key, value] : members) {
      if (fault.has_value()) return;
      check_keyword(key, value, pointer + pointer_part(key));
    }
  }

 private:
  void fail(const std::string& pointer, std::string message) {
    if (!fault.has_value()) {
      fault = SchemaFault{pointer.empty() ? "/" : pointer, std::move(message)};
    }
  }
  void expect(bool held, const std::string& pointer, const char* expected) {
    if (!held) fail(pointer, std::string("expected ") + expected);
  }

  void check_keyword(std::string_view key, element value, const std::string& pointer) {
    if (is_one_of(key, kOfSchemas)) return check_members(value, pointer);
    if (is_one_of(key, kOfList)) return check_list(value, pointer);
    if (is_one_of(key, kOfSchema)) return check(value, pointer);
    if (is_one_of(key, kThatDescribe) || key == "const") return;
    if (is_one_of(key, kOfCount)) {
      uint64_t count = 0;
      return expect(value.get_uint64().get(count) == simdjson::SUCCESS && count <= 1'000'000,
                    pointer, "a whole number up to 1000000");
    }
    if (is_one_of(key, kOfNumber)) {
      return expect(value.is_number(), pointer, "a number");
    }
    if (key == "type") return check_type(value, pointer);
    if (key == "enum") {
      simdjson::dom::array items;
      return expect(value.get_array().get(items) == simdjson::SUCCESS && items.size() > 0, pointer,
                    "a list of values");
    }
    if (key == "required") return check_strings(value, pointer);
    if (key == "pattern") return expect(value.is_string(), pointer, "a string");
    if (key == "format") return check_format(value, pointer);
    if (key == "$ref") return check_reference(value, pointer);
    fail(pointer, "'" + std::string(key.substr(0, 64)) + "' is not supported");
  }

  void check_members(element value, const std::string& pointer) {
    object members;
    if (value.get_object().get(members) != simdjson::SUCCESS) {
      return fail(pointer, "expected an object of schemas");
    }
    for (const auto& [key, schema] : members) check(schema, pointer + pointer_part(key));
  }

  void check_list(element value, const std::string& pointer) {
    simdjson::dom::array items;
    if (value.get_array().get(items) != simdjson::SUCCESS || items.size() == 0) {
      return fail(pointer, "expected a list of schemas");
    }
    size_t i = 0;
    for (const element schema : items) check(schema, pointer + "/" + std::to_string(i++));
  }

  void check_type(element value, const std::string& pointer) {
    const auto is_type = [&](element type) {
      std::string_view name;
      return type.get_string().get(name) == simdjson::SUCCESS && is_one_of(name, kTypes);
    };
    simdjson::dom::array items;
    bool held = is_type(value);
    if (value.get_array().get(items) == simdjson::SUCCESS) {
      held = items.size() > 0;
      for (const element item : items) held = held && is_type(item);
    }
    expect(held, pointer, "a type of JSON, or a list of types");
  }

  void check_strings(element value, const std::string& pointer) {
    simdjson::dom::array items;
    bool held = value.get_array().get(items) == simdjson::SUCCESS;
    if (held) {
      for (const element item : items) held = held && item.is_string();
    }
    expect(held, pointer, "a list of names");
  }

  void check_format(element value, const std::string& pointer) {
    std::string_view name;
    const bool held =
        value.get_string().get(name) == simdjson::SUCCESS && is_one_of(name, kFormats);
    expect(held, pointer,
           "date-time, time, date, duration, email, hostname, ipv4, ipv6, uuid or uri");
  }

  // Nothing is ever fetched or opened for a schema.
  void check_reference(element value, const std::string& pointer) {
    std::string_view target;
    const bool held = value.get_string().get(target) == simdjson::SUCCESS &&
                      (target == "#" || target.starts_with("#/"));
    expect(held, pointer, "a reference within the schema, as '#/$defs/name'");
  }

  size_t count_ = 0;
};

}  // namespace

std::optional<SchemaFault> find_unsupported(std::string_view schema) {
  const Result<JsonDocument> document = JsonDocument::parse("schema", schema);
  if (!document.ok()) return SchemaFault{"/", document.status().message()};
  const Result<JsonObject> root = document->root();
  if (!root.ok()) return SchemaFault{"/", "a schema is no object"};
  SchemaWalk walk;
  walk.check(root->members(), "");
  return walk.fault;
}

}  // namespace midge
