#include "server/http/request_head.h"

#include <algorithm>
#include <charconv>

#include "engine/core/status.h"

namespace midge {
namespace {

// RFC 9110, 5.6.2.
bool is_token_character(char c) {
  const bool is_alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return is_alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

// What a field's value may hold: visible characters, spaces, tabs, and bytes beyond ASCII.
bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

bool is_target_character(char c) { return c > 0x20 && c < 0x7f && c != '#'; }

std::string_view trim(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

class HeadReader {
 public:
  HeadReader(std::string_view bytes, const HttpLimits& limits) : rest_(bytes), limits_(limits) {}

  bool read(RequestHead* head) {
    head_ = head;
    if (!read_request_line()) return false;
    for (;;) {
      const std::optional<std::string_view> line = next_line();
      if (!line.has_value()) return false;
      if (line->empty()) break;
      if (!read_field(*line)) return false;
    }
    if (!rest_.empty()) return refuse(400, "bytes behind the head");
    return check_whole();
  }

  const HttpRefusal& refusal() const { return refusal_; }

 private:
  bool refuse(int status, std::string message) {
    refusal_ = {status, std::move(message)};
    return false;
  }

  // Lines end with CR LF, and neither stands anywhere else.
  std::optional<std::string_view> next_line() {
    const size_t end = rest_.find_first_of(std::string_view("\r\n\0", 3));
    if (end == std::string_view::npos || rest_.substr(end, 2) != "\r\n") {
      refuse(400, "the head has a line that does not end with CR LF");
      return std::nullopt;
    }
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return line;
  }

  bool read_request_line() {
    const std::optional<std::string_view> line = next_line();
    if (!line.has_value()) return false;
    const size_t first = line->find(' ');
    const size_t last = line->rfind(' ');
    if (first == std::string_view::npos || first == last) {
      return refuse(400, "the request line is not METHOD TARGET HTTP/1.1");
    }
    head_->method = line->substr(0, first);
    head_->target = line->substr(first + 1, last - first - 1);
    const std::string_view version = line->substr(last + 1);
    if (!is_token(head_->method)) return refuse(400, "the method is no token");
    if (head_->target.size() > limits_.target_bytes) {
      return refuse(414, format_string("the target has %zu bytes, at most %zu are read",
                                       head_->target.size(), limits_.target_bytes));
    }
    const bool is_clean =
        std::all_of(head_->target.begin(), head_->target.end(), is_target_character);
    if (!head_->target.starts_with('/') || !is_clean) {
      return refuse(400, "the target is not a path");
    }
    if (version == "HTTP/1.0") {
      head_->is_old = true;
      head_->keeps_alive = false;
    } else if (version != "HTTP/1.1") {
      const bool is_http = version.starts_with("HTTP/") && version.size() == 8;
      return refuse(is_http ? 505 : 400, "the version is not HTTP/1.1");
    }
    return true;
  }

  bool read_field(std::string_view line) {
    if (++fields_ > limits_.fields) {
      return refuse(431, format_string("more than %zu fields", limits_.fields));
    }
    if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a folded line");
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name)) {
      return refuse(400, "a field without a proper name");
    }
    const std::string_view value = trim(line.substr(colon + 1));
    if (!std::all_of(value.begin(), value.end(), is_value_character)) {
      return refuse(400, "a field with a control character");
    }
    return read_known_field(name, value);
  }

  bool read_known_field(std::string_view name, std::string_view value) {
    if (same_word(name, "host")) return read_once("Host", value, &has_host_, &head_->host);
    if (same_word(name, "origin")) {
      return read_once("Origin", value, &has_origin_, &head_->origin);
    }
    if (same_word(name, "authorization")) {
      return read_once("Authorization", value, &has_authorization_, &head_->authorization);
    }
    if (same_word(name, "content-type")) {
      return read_once("Content-Type", value, &has_type_, &head_->content_type);
    }
    if (same_word(name, "content-length")) {
      std::string_view text;
      return read_once("Content-Length", value, &has_length_, &text) && read_length(text);
    }
    if (same_word(name, "transfer-encoding")) {
      std::string_view text;
      if (!read_once("Transfer-Encoding", value, &has_coding_, &text)) return false;
      if (!same_word(text, "chunked")) {
        return refuse(501, "a transfer coding other than chunked");
      }
      head_->body = BodyLength::kChunked;
      return true;
    }
    if (same_word(name, "expect")) {
      if (!same_word(value, "100-continue")) return refuse(417, "an expectation that is not known");
      head_->expects_continue = true;
    }
    if (same_word(name, "connection")) read_connection(value);
    return true;
  }

  bool read_once(const char* name, std::string_view value, bool* has, std::string_view* out) {
    if (*has) return refuse(400, format_string("%s is there twice", name));
    *has = true;
    *out = value;
    return true;
  }

  // Digits alone: from_chars would take a sign, and lists of equal lengths are refused too.
  bool read_length(std::string_view value) {
    const bool is_number = !value.empty() && value.size() <= 18 &&
                           value.find_first_not_of("0123456789") == std::string_view::npos;
    if (!is_number) return refuse(400, "Content-Length is not a number");
    std::from_chars(value.data(), value.data() + value.size(), head_->content_length);
    if (head_->content_length > limits_.body_bytes) {
      return refuse(413, format_string("the body has %llu bytes, at most %zu are read",
                                       static_cast<unsigned long long>(head_->content_length),
                                       limits_.body_bytes));
    }
    head_->body = BodyLength::kContentLength;
    return true;
  }

  void read_connection(std::string_view value) {
    while (!value.empty()) {
      const size_t comma = std::min(value.find(','), value.size());
      const std::string_view option = trim(value.substr(0, comma));
      if (same_word(option, "close")) head_->keeps_alive = false;
      if (same_word(option, "keep-alive") && head_->is_old) head_->keeps_alive = true;
      value.remove_prefix(std::min(comma + 1, value.size()));
    }
  }

  bool check_whole() {
    if (has_length_ && has_coding_) {
      return refuse(400, "Content-Length beside Transfer-Encoding");
    }
    if (has_coding_ && head_->is_old) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (!has_host_ && !head_->is_old) return refuse(400, "no Host");
    return true;
  }

  std::string_view rest_;
  const HttpLimits& limits_;
  RequestHead* head_ = nullptr;
  HttpRefusal refusal_;
  size_t fields_ = 0;
  bool has_host_ = false;
  bool has_origin_ = false;
  bool has_authorization_ = false;
  bool has_type_ = false;
  bool has_length_ = false;
  bool has_coding_ = false;
};

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<RequestHead> read_request_head(std::string_view bytes, const HttpLimits& limits,
                                             HttpRefusal* refusal) {
  RequestHead head;
  HeadReader reader(bytes, limits);
  if (reader.read(&head)) return head;
  *refusal = reader.refusal();
  return std::nullopt;
}

}  // namespace midge
