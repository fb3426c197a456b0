#include "tests/harness/refusal.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/core/utf8.h"

namespace midge::test {
namespace {

#if defined(__has_feature)
#define MIDGE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define MIDGE_HAS_FEATURE(feature) 0
#endif
#if defined(MIDGE_EMULATED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    MIDGE_HAS_FEATURE(address_sanitizer) || MIDGE_HAS_FEATURE(thread_sanitizer)
constexpr bool kJudgesCost = false;
#else
constexpr bool kJudgesCost = true;
#endif

// What the child tells its parent.
struct Report {
  int code = 0;
  uint64_t grown_bytes = 0;
  double seconds = 0;
  char message[8192] = {};
};

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

struct rusage resource_usage() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage;
}

// Of the processor: what others do on the machine must not fail a test.
double seconds(const struct rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// In the child, whose peak begins with what it has of its parent.
Report measure(const std::function<Status()>& open) {
  Report report;
  const uint64_t before = resident_bytes();
  const double start = seconds(resource_usage());
  const Status status = open();
  const struct rusage usage = resource_usage();
  report.seconds = seconds(usage) - start;
  const uint64_t peak = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  report.grown_bytes = peak > before ? peak - before : 0;
  report.code = static_cast<int>(status.code());
  const std::string& message = status.message();
  std::memcpy(report.message, message.data(), std::min(message.size(), sizeof(report.message) - 1));
  return report;
}

bool run_in_child(const std::function<Status()>& open, Report* report) {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return false;
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    const Report measured = measure(open);
    const ssize_t written = ::write(ends[1], &measured, sizeof(measured));
    ::_exit(written == sizeof(measured) ? 0 : 1);
  }
  ::close(ends[1]);
  size_t done = 0;
  auto* bytes = reinterpret_cast<uint8_t*>(report);
  for (ssize_t got; done < sizeof(*report); done += static_cast<size_t>(got)) {
    got = ::read(ends[0], bytes + done, sizeof(*report) - done);
    if (got <= 0) break;
  }
  ::close(ends[0]);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
         done == sizeof(*report);
}

// Written down anew, not by the function that made the message: no controls (C0, DEL, C1), none of
// the bidirectional ones, and nothing that is not UTF-8.
bool is_one_printable_line(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    const bool control = c.value < 0x20 || (c.value >= 0x7F && c.value < 0xA0);
    const bool direction = c.value == 0x061C || c.value == 0x200E || c.value == 0x200F ||
                           (c.value >= 0x202A && c.value <= 0x202E) ||
                           (c.value >= 0x2066 && c.value <= 0x2069);
    if (c.value == kInvalidCodePoint || control || direction) return false;
    i += c.length;
  }
  return true;
}

}  // namespace

bool judges_cost() { return kJudgesCost; }

void expect_refused(const std::function<Status()>& open, uint64_t file_bytes, StatusCode code,
                    std::string_view file, std::initializer_list<std::string_view> parts) {
  Report report;
  ASSERT_TRUE(run_in_child(open, &report)) << "the process that opened the file did not survive";
  const std::string_view message = report.message;
  EXPECT_EQ(status_code_name(static_cast<StatusCode>(report.code)),
            std::string_view(status_code_name(code)))
      << message;
  EXPECT_TRUE(is_one_printable_line(message)) << message;
  EXPECT_NE(message.find(file), std::string_view::npos) << message << "\nwithout: " << file;
  for (const std::string_view part : parts) {
    EXPECT_NE(message.find(part), std::string_view::npos) << message << "\nwithout: " << part;
  }
  std::printf("[ refusal  ] %.1f MB, %.0f ms: %.*s\n",
              static_cast<double>(report.grown_bytes) * 1e-6, report.seconds * 1e3,
              static_cast<int>(std::min<size_t>(message.size(), 160)), message.data());
  if (!kJudgesCost) return;
  EXPECT_LE(report.grown_bytes, file_bytes + kRefusalBytesMax) << message;
  EXPECT_LE(report.seconds, kRefusalSecondsMax) << message;
}

}  // namespace midge::test
