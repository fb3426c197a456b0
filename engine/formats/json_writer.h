// Writes JSON text: objects, arrays, strings and numbers, nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace midge {

/// Builds one document. Calls follow its grammar: inside of an object every value has a key.
/// Text that is not valid UTF-8 is written with U+FFFD in place of each bad byte, so that the
/// result is always valid JSON. What would steer a terminal (engine/core/visible.h) is escaped.
class JsonWriter {
 public:
  JsonWriter& begin_object(std::string_view key = {});
  JsonWriter& end_object();
  JsonWriter& begin_array(std::string_view key = {});
  JsonWriter& end_array();
  JsonWriter& member(std::string_view key, std::string_view text);
  JsonWriter& member(std::string_view key, const char* text) {
    return member(key, std::string_view(text));
  }
  JsonWriter& member(std::string_view key, int64_t number);
  JsonWriter& member(std::string_view key, double number);
  JsonWriter& member(std::string_view key, bool value);
  /// A value that is JSON text already.
  JsonWriter& member_json(std::string_view key, std::string_view json);
  JsonWriter& element(std::string_view text);
  JsonWriter& element(int64_t number);
  JsonWriter& element(double number);
  /// An element that is JSON text already.
  JsonWriter& element_json(std::string_view json);

  const std::string& text() const { return text_; }

 private:
  void separate();
  void key(std::string_view key);
  void quote(std::string_view text);
  void escape(uint32_t code_point);
  void number(double value);

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace midge
