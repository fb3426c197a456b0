#include "cli/bus_error.h"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "engine/core/status.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

// Everything below runs in the handler: system calls and plain loops only. The kernel's table of
// mappings says which file is concerned, so that nothing has to be kept up to date for it.

constexpr size_t kLineBytes = 4096 + 128;  // the longest path, and the columns before it
char g_line[kLineBytes];

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// The end of a path, with no byte that steers a terminal.
void print_path(std::string_view path) {
  if (path.size() > kShownPathBytesMax) {
    put("...");
    path.remove_prefix(path.size() - kShownPathBytesMax);
  }
  for (size_t i = 0; i < path.size();) {
    const VisibleCharacter c = visible_character(path, i, Layout::kOneLine);
    put({c.bytes, c.length});
    i += c.consumed;
  }
}

// Reads a hexadecimal number at *text and moves behind it.
uintptr_t read_hex(const char** text) {
  uintptr_t value = 0;
  for (;; ++*text) {
    const char c = **text;
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<uintptr_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<uintptr_t>(c - 'a' + 10);
    } else {
      return value;
    }
  }
}

// The file that a line "start-end flags offset device inode   path" maps at `address`; or null.
const char* file_in_line(const char* line, uintptr_t address) {
  const uintptr_t start = read_hex(&line);
  if (*line != '-') return nullptr;
  ++line;
  const uintptr_t end = read_hex(&line);
  if (address < start || address >= end) return nullptr;
  return std::strchr(line, '/');
}

// The file mapped at `address`, or null. The result is in g_line.
const char* mapped_file_at(uintptr_t address) {
  const int fd = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  char buffer[1024];
  size_t length = 0;
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] != '\n') {
        if (length + 1 < kLineBytes) g_line[length++] = buffer[i];
        continue;
      }
      g_line[length] = '\0';
      length = 0;
      const char* file = file_in_line(g_line, address);
      if (file != nullptr) {
        ::close(fd);
        return file;
      }
    }
  }
  ::close(fd);
  return nullptr;
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  const char* file = mapped_file_at(reinterpret_cast<uintptr_t>(info->si_addr));
  if (file == nullptr) {
    // Not ours: ends the program as it would have without a handler.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  put("midge: error: ");
  print_path(file);
  put(": truncated while in use, expected it to stay as it was opened; --no-mmap reads a copy\n");
  ::_exit(static_cast<int>(StatusCode::kIoError));
}

}  // namespace

void report_bus_errors() {
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace midge
