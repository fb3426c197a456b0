#include "engine/formats/json_writer.h"

#include <charconv>
#include <cmath>

#include "engine/core/status.h"
#include "engine/core/utf8.h"
#include "engine/core/visible.h"

namespace midge {

void JsonWriter::separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

void JsonWriter::key(std::string_view key) {
  separate();
  if (key.empty()) return;
  quote(key);
  text_ += ':';
}

JsonWriter& JsonWriter::begin_object(std::string_view name) {
  key(name);
  text_ += '{';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  text_ += '}';
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_array(std::string_view name) {
  key(name);
  text_ += '[';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  text_ += ']';
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::member(std::string_view name, std::string_view text) {
  key(name);
  quote(text);
  return *this;
}

JsonWriter& JsonWriter::member(std::string_view name, int64_t value) {
  key(name);
  text_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::member(std::string_view name, double value) {
  key(name);
  number(value);
  return *this;
}

JsonWriter& JsonWriter::member(std::string_view name, bool value) {
  key(name);
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::member_json(std::string_view name, std::string_view json) {
  key(name);
  // Outside of strings there is white space alone; inside, an escape stands for the same character.
  for (size_t i = 0; i < json.size();) {
    const CodePoint c = decode_utf8(json, i);
    if (steers_terminal(c.value) && static_cast<unsigned char>(json[i]) >= 0x7F) {
      escape(c.value);
    } else {
      text_ += json.substr(i, c.length);
    }
    i += c.length;
  }
  return *this;
}

JsonWriter& JsonWriter::element(std::string_view text) {
  separate();
  quote(text);
  return *this;
}

JsonWriter& JsonWriter::element_json(std::string_view json) {
  separate();
  text_ += json;
  return *this;
}

JsonWriter& JsonWriter::element(int64_t value) {
  separate();
  text_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::element(double value) {
  separate();
  number(value);
  return *this;
}

void JsonWriter::number(double value) {
  // JSON has no infinities.
  if (!std::isfinite(value)) {
    text_ += "null";
    return;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  text_.append(buffer, end.ptr);
}

// Every code point that steers a terminal is below U+10000.
void JsonWriter::escape(uint32_t code_point) {
  text_ += code_point == kInvalidCodePoint ? "\xEF\xBF\xBD" : format_string("\\u%04x", code_point);
}

void JsonWriter::quote(std::string_view text) {
  text_ += '"';
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      text_ += '\\';
      text_ += text[i];
    } else if (byte == '\n') {
      text_ += "\\n";
    } else if (steers_terminal(c.value)) {
      escape(c.value);
    } else {
      text_ += text.substr(i, c.length);
    }
    i += c.length;
  }
  text_ += '"';
}

}  // namespace midge
