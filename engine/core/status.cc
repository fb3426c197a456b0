#include "engine/core/status.h"

#include <cstdio>

#include "engine/core/visible.h"

namespace midge {

Status::Status(StatusCode code, std::string_view message)
    : code_(code), message_(visible_text(message, Layout::kOneLine)) {}

const char* status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInternal: return "internal";
    case StatusCode::kInvalidArgument: return "invalid_argument";
    case StatusCode::kNotFound: return "not_found";
    case StatusCode::kIoError: return "io_error";
    case StatusCode::kInvalidFile: return "invalid_file";
    case StatusCode::kUnsupported: return "unsupported";
    case StatusCode::kModelMismatch: return "model_mismatch";
    case StatusCode::kOutOfMemory: return "out_of_memory";
    case StatusCode::kOutOfRange: return "out_of_range";
    case StatusCode::kContextFull: return "context_full";
    case StatusCode::kCancelled: return "cancelled";
    case StatusCode::kBusy: return "busy";
    case StatusCode::kNoPages: return "no_pages";
    case StatusCode::kTimeout: return "timeout";
    case StatusCode::kTooSmall: return "too_small";
    case StatusCode::kCallbackFailed: return "callback_failed";
  }
  return "unknown";
}

Status make_status(StatusCode code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::string message = format_string_list(format, args);
  va_end(args);
  return Status(code, message);
}

Status with_file_name(std::string_view name, const Status& status) {
  if (status.ok()) return status;
  return Status(status.code(), shown_path(name) + ": " + status.message());
}

std::string format_string_list(const char* format, va_list args) {
  va_list copy;
  va_copy(copy, args);
  const int length = std::vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  if (length < 0) return format;
  std::string text(static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, args);
  return text;
}

std::string format_string(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::string text = format_string_list(format, args);
  va_end(args);
  return text;
}

std::string printable(std::string_view text, size_t length_max) {
  std::string out;
  size_t i = 0;
  while (i < text.size() && out.size() < length_max) {
    const VisibleCharacter c = visible_character(text, i, Layout::kOneLine);
    if (text[i] == '\'' || text[i] == '\\') {
      out += format_string("\\x%02x", static_cast<unsigned>(text[i]));
    } else {
      out.append(c.bytes, c.length);
    }
    i += c.consumed;
  }
  if (i < text.size()) out += "...";
  return out;
}

}  // namespace midge
