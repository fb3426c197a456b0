#include "server/openai/writer.h"

#include <charconv>
#include <cmath>

#include "engine/core/status.h"
#include "engine/core/utf8.h"

namespace midge {
namespace {

void write_token(JsonWriter& json, const TokenText& token) {
  json.member("token", token.bytes);
  json.member_json("logprob", token.has_logprob ? float_text(token.logprob) : "null");
  json.begin_array("bytes");
  for (const char c : token.bytes) json.element(int64_t{static_cast<unsigned char>(c)});
  json.end_array();
}

}  // namespace

std::string float_text(float value) {
  if (!std::isfinite(value)) return "null";
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::general, 9);
  return std::string(buffer, end.ptr);
}

std::string legacy_token_text(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char c : bytes) text += format_string("\\x%02x", static_cast<unsigned char>(c));
  return text;
}

int64_t count_characters(std::string_view bytes) {
  int64_t count = 0;
  for (const char c : bytes) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

void write_chat_logprobs(JsonWriter& json, std::span<const ScoredToken> tokens) {
  json.begin_object("logprobs").begin_array("content");
  for (const ScoredToken& scored : tokens) {
    json.begin_object();
    write_token(json, scored.token);
    json.begin_array("top_logprobs");
    for (const TokenText& other : scored.top) {
      json.begin_object();
      write_token(json, other);
      json.end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().member_json("refusal", "null").end_object();
}

void write_completion_logprobs(JsonWriter& json, std::span<const ScoredToken> tokens,
                               std::span<const int64_t> offsets, bool with_top) {
  json.begin_object("logprobs").begin_array("tokens");
  for (const ScoredToken& scored : tokens) json.element(legacy_token_text(scored.token.bytes));
  json.end_array().begin_array("token_logprobs");
  for (const ScoredToken& scored : tokens) {
    json.element_json(scored.token.has_logprob ? float_text(scored.token.logprob) : "null");
  }
  json.end_array().begin_array("top_logprobs");
  for (const ScoredToken& scored : tokens) {
    if (!with_top || !scored.token.has_logprob) {
      json.element_json("null");
      continue;
    }
    // Two tokens with one text would be one key: the better one stands for both.
    std::vector<std::string> keys;
    json.begin_object();
    const auto add = [&](const TokenText& token) {
      std::string key = legacy_token_text(token.bytes);
      if (key.empty()) return;
      for (const std::string& known : keys) {
        if (known == key) return;
      }
      json.member_json(key, float_text(token.logprob));
      keys.push_back(std::move(key));
    };
    for (const TokenText& other : scored.top) add(other);
    add(scored.token);  // also where it is not among the best
    json.end_object();
  }
  json.end_array().begin_array("text_offset");
  for (const int64_t offset : offsets) json.element(offset);
  json.end_array().end_object();
}

}  // namespace midge
