// Errors as values. World errors (files, users, memory, limits) travel as Status or Result<T>;
// programmer errors are asserts (MIDGE_DCHECK). Nothing in the library throws, prints or aborts.
#pragma once

#include <cassert>
#include <cstdarg>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace midge {

/// Status codes. A number is given once and never reused; they are also the exit codes of the
/// command line program.
enum class StatusCode : int {
  kOk = 0,
  kInternal = 1,         ///< an invariant of midge itself failed
  kInvalidArgument = 2,  ///< the caller's option or argument is wrong
  kNotFound = 3,         ///< a file or directory does not exist
  kIoError = 4,          ///< the operating system refused to open, map, read or write
  kInvalidFile = 5,      ///< a file is damaged, truncated or not what it claims to be
  kUnsupported = 6,      ///< well formed, but outside of what midge runs
  kModelMismatch = 7,    ///< tensors and config of a model contradict each other
  kOutOfMemory = 8,      ///< memory could not be reserved
  kOutOfRange = 9,       ///< token id, row or position outside of its range
  kContextFull = 10,     ///< the sequence has no room for the tokens; nothing changed
  kCancelled = 11,       ///< stopped on request
  kBusy = 12,            ///< something else runs there now; nothing changed
  kNoPages = 13,         ///< the sequences' KV pages are all in use; nothing changed
  kTimeout = 14,         ///< time ran out; what was waited for goes on
  kTooSmall = 15,        ///< the caller's buffer is too small; nothing was written
  kCallbackFailed = 16,  ///< an exception left a callback of the caller's
};

/// Short stable name of a code, for example "invalid_file". Static storage.
const char* status_code_name(StatusCode code);

/// The result of an operation that can fail. Must be looked at.
class [[nodiscard]] Status {
 public:
  Status() = default;
  /// What would steer a terminal or end the line is made visible in `message` (visible.h): no path
  /// or name in it can do either.
  Status(StatusCode code, std::string_view message);

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  /// One line that names the thing, what was found and what was expected; empty when ok.
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

/// A value or the Status that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  T& value() {
    assert(ok());
    return *value_;
  }
  const T& value() const {
    assert(ok());
    return *value_;
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

/// printf-style Status; the format is checked by the compiler.
[[gnu::format(printf, 2, 3)]] Status make_status(StatusCode code, const char* format, ...);

/// `status` with the name of its file before its message.
Status with_file_name(std::string_view name, const Status& status);

/// printf into a std::string; the format is checked by the compiler.
[[gnu::format(printf, 1, 2)]] std::string format_string(const char* format, ...);

/// The same for a list of arguments.
[[gnu::format(printf, 1, 0)]] std::string format_string_list(const char* format, va_list args);

/// Text from a file made safe between the quotes of a one-line message: as visible_text (visible.h)
/// on one line, quotes and backslashes become \xNN too, and it is cut after `length_max` bytes.
std::string printable(std::string_view text, size_t length_max = 80);

}  // namespace midge

#define MIDGE_CONCAT_INNER(a, b) a##b
#define MIDGE_CONCAT(a, b) MIDGE_CONCAT_INNER(a, b)

/// Returns from the current function with the status of `expression` unless it is ok.
#define MIDGE_RETURN_IF_ERROR(expression)          \
  do {                                             \
    ::midge::Status midge_status_ = (expression);  \
    if (!midge_status_.ok()) return midge_status_; \
  } while (0)

/// Evaluates a Result; returns its status on error, else moves the value into `target`, which may
/// be a declaration.
#define MIDGE_ASSIGN_OR_RETURN(target, expression) \
  MIDGE_ASSIGN_OR_RETURN_IMPL(MIDGE_CONCAT(midge_result_, __LINE__), target, expression)
#define MIDGE_ASSIGN_OR_RETURN_IMPL(result, target, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return result.status();                     \
  target = std::move(*result)
