#include "engine/core/status.h"

#include <cstdarg>
#include <cstdio>

#include "engine/core/utf8.h"

namespace midge {
namespace {

std::string vformat(const char* format, va_list args) {
  va_list copy;
  va_copy(copy, args);
  const int length = std::vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  if (length < 0) return format;
  std::string text(static_cast<size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, args);
  return text;
}

}  // namespace

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
  }
  return "unknown";
}

Status make_status(StatusCode code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::string message = vformat(format, args);
  va_end(args);
  return Status(code, std::move(message));
}

std::string format_string(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::string text = vformat(format, args);
  va_end(args);
  return text;
}

std::string printable(std::string_view text, size_t length_max) {
  std::string out;
  size_t i = 0;
  while (i < text.size() && out.size() < length_max) {
    const CodePoint point = decode_utf8(text, i);
    const auto lead = static_cast<unsigned char>(text[i]);
    if (point.value == kInvalidCodePoint || lead < 0x20 || lead == 0x7F || lead == '\'' ||
        lead == '\\') {
      out += format_string("\\x%02x", lead);
    } else {
      out += text.substr(i, point.length);
    }
    i += point.length;
  }
  if (i < text.size()) out += "...";
  return out;
}

}  // namespace midge
