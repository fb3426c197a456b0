// JSON documents, parsed by simdjson; this adds errors that name the file and the key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "engine/core/status.h"

namespace midge {

/// A JSON object inside a document. A cheap view: valid as long as its JsonDocument.
class JsonObject {
 public:
  JsonObject(simdjson::dom::object object, const std::string* name)
      : object_(object), name_(name) {}

  /// True if `key` is present with a value other than null.
  bool has(std::string_view key) const;

  /// Value of `key`. Errors (invalid_file): absent, of another type, outside of [min, max].
  Result<int64_t> integer(std::string_view key, int64_t min, int64_t max) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  Result<JsonObject> object(std::string_view key) const;
  Result<simdjson::dom::array> array(std::string_view key) const;

  /// The same, with a value for the case that `key` is absent or null.
  Result<int64_t> integer_or(std::string_view key, int64_t min, int64_t max, int64_t other) const;
  Result<double> number_or(std::string_view key, double other) const;
  Result<bool> boolean_or(std::string_view key, bool other) const;
  Result<std::string_view> string_or(std::string_view key, std::string_view other) const;

  /// Members in file order, duplicates included.
  simdjson::dom::object members() const { return object_; }
  /// File name (and place in it) for messages.
  const std::string& name() const { return *name_; }

 private:
  /// invalid_file: "<name>: '<key>' is <found>, expected <expected>".
  Status wrong(std::string_view key, const char* expected) const;

  simdjson::dom::object object_;
  const std::string* name_;
};

/// Most memory that a document may take while it is parsed: a copy of its text, one of its strings,
/// and up to kJsonValueBytes for each value, which can be two characters long.
inline constexpr uint64_t kJsonParsedBytesMax = uint64_t{56} << 20;
inline constexpr uint64_t kJsonValueBytes = 24;
/// Numbers with a point or an exponent and more digits than this take simdjson microseconds each,
/// hundreds of times as long as others. Programs write up to 17.
inline constexpr size_t kJsonShortDigitsMax = 19;
/// Most such numbers of a document.
inline constexpr size_t kJsonLongNumbersMax = 1000;
/// Deepest nesting; real config and tokenizer files have up to 6 levels.
inline constexpr size_t kJsonDepthMax = 64;

/// Whether an object may have a key twice. Readers differ in which one they take, so a file of a
/// model that has one is refused; where the first or the last is defined, they may stay.
enum class DuplicateKeys : uint8_t { kRefused, kAllowed };

/// Limits of one document, for readers that know theirs to be smaller, or that keep it while they
/// parse others.
struct JsonLimits {
  uint64_t parsed_bytes = kJsonParsedBytesMax;
  size_t long_numbers = kJsonLongNumbersMax;
  /// Integers of more than 64 bits, which are refused else, are floats.
  bool takes_long_integers = false;
};

/// A parsed document that owns its memory. Immutable, movable.
class JsonDocument {
 public:
  /// Parses `text`; `name` stands in messages. Errors: invalid_file (no JSON, beyond the limits, a
  /// key that is there twice).
  static Result<JsonDocument> parse(std::string name, std::string_view text,
                                    DuplicateKeys duplicates = DuplicateKeys::kRefused,
                                    const JsonLimits& limits = {});
  /// Reads and parses a file of at most `bytes_max` bytes.
  static Result<JsonDocument> load(const std::string& path, uint64_t bytes_max,
                                   const JsonLimits& limits = {});

  /// The root, which must be an object, or an array. Errors: invalid_file.
  Result<JsonObject> root() const;
  Result<simdjson::dom::array> root_array() const;

 private:
  JsonDocument() = default;

  // On the heap, so that views into it survive a move of the document.
  struct State {
    std::string name;
    simdjson::dom::document document;
    simdjson::dom::element root;
  };
  std::unique_ptr<State> state_;
};

/// Errors (invalid_file): a key of `object` itself that is there twice.
Status refuse_duplicate_keys(const JsonObject& object);

/// "a string", "a number" ... for messages.
const char* json_type_name(simdjson::dom::element element);

}  // namespace midge
