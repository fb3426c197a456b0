// The fields of a request's JSON body, read one by one; the first that is wrong is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/formats/json.h"

namespace midge {

/// An error as OpenAI's interface writes it.
struct Refusal {
  int status = 400;
  std::string type = "invalid_request_error";
  std::string code;   ///< empty: null
  std::string param;  ///< the field; empty: null
  std::string message;
  int retry_seconds = 0;  ///< of 429 and 503

  /// {"error": {...}}
  std::string body() const;
};

/// Reads the members of one object. Each reader gives `other` where the member is absent or null,
/// and where it is wrong, which refusal() tells then. A member that nobody has read by the end is
/// refused too: a field that is not supported is never silently ignored.
class RequestFields {
 public:
  using Element = simdjson::dom::element;

  /// path: of the object in the body, "" or "stream_options.".
  explicit RequestFields(simdjson::dom::object object, std::string path = {})
      : object_(object), path_(std::move(path)) {}

  bool has(std::string_view key);
  /// nullopt: absent or null.
  std::optional<Element> element(std::string_view key);
  int64_t integer(std::string_view key, int64_t min, int64_t max, int64_t other);
  double number(std::string_view key, double min, double max, double other);
  bool boolean(std::string_view key, bool other);
  std::string_view string(std::string_view key, std::string_view other = {});
  std::optional<simdjson::dom::array> array(std::string_view key);
  std::optional<simdjson::dom::object> object(std::string_view key);

  /// A member that may be there and changes nothing here.
  void accept(std::string_view key) { element(key); }
  /// A member that may be there with this value alone.
  void accept_only(std::string_view key, bool value);
  void accept_only(std::string_view key, int64_t value);
  void accept_only(std::string_view key, std::string_view value);

  void refuse(std::string_view key, std::string message, std::string code = {});
  /// The first member that nobody has read.
  void refuse_unread();
  /// Takes over what is wrong with a part.
  void take(const RequestFields& part);

  bool ok() const { return !refusal_.has_value(); }
  const Refusal& refusal() const { return *refusal_; }
  std::string path_of(std::string_view key) const { return path_ + std::string(key); }

 private:
  void wrong_type(std::string_view key, Element value, const char* expected);

  simdjson::dom::object object_;
  std::string path_;
  std::vector<std::string_view> read_;
  std::optional<Refusal> refusal_;
};

}  // namespace midge
