#include "cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "engine/core/status.h"
#include "engine/core/utf8.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr int kBarWidth = 30;
constexpr int64_t kDrawIntervalMs = 100;

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int g_signal_pipe[2] = {-1, -1};

void on_interrupt(int signal) {
  note_signal();
  if (g_interrupted.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

// What a signal cuts off was to be abandoned, and is no failure of the stream.
void forgive_interrupt(std::FILE* stream) {
  if (errno == EINTR && g_interrupted) std::clearerr(stream);
}

void write_raw(std::FILE* stream, std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stream) != text.size()) forgive_interrupt(stream);
}

}  // namespace

void flush(std::FILE* stream) {
  if (std::fflush(stream) != 0) forgive_interrupt(stream);
}

void print(std::FILE* stream, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const std::string text = format_string_list(format, args);
  va_end(args);
  write_raw(stream, visible_text(text));
}

void print_document(std::string_view text) { write_raw(stdout, text); }

TextOutput::TextOutput() : terminal_(stdout_is_terminal()) {}

void TextOutput::write(std::string_view text, bool dim) {
  if (terminal_) {
    waiting_ += text;
    const size_t whole = complete_utf8_length(waiting_);
    const std::string shown = visible_text(std::string_view(waiting_).substr(0, whole));
    const bool is_dim = dim && !shown.empty() && has_colors();
    write_raw(stdout, is_dim ? "\033[2m" + shown + "\033[22m" : shown);
    waiting_.erase(0, whole);
  } else {
    write_raw(stdout, text);
  }
  flush(stdout);
}

void TextOutput::finish() {
  write_raw(stdout, visible_text(waiting_));
  waiting_.clear();
  flush(stdout);
}

ProgressBar::ProgressBar(std::string label, Unit unit)
    : label_(visible_text(label, Layout::kOneLine)),
      unit_(unit),
      enabled_(stderr_is_terminal()),
      start_ms_(now_ms()) {}

ProgressBar::~ProgressBar() {
  if (enabled_ && last_draw_ms_ >= 0) std::fputs("\r\033[K", stderr);
}

void ProgressBar::update(int64_t done, int64_t total) {
  if (!enabled_ || total <= 0) return;
  const int64_t now = now_ms();
  if (last_draw_ms_ >= 0 && now - last_draw_ms_ < kDrawIntervalMs) return;
  last_draw_ms_ = now;
  const auto filled = static_cast<int>(std::clamp<int64_t>(done * kBarWidth / total, 0, kBarWidth));
  const std::string bar = std::string(static_cast<size_t>(filled), '#') +
                          std::string(static_cast<size_t>(kBarWidth - filled), '.');
  std::fprintf(stderr, "\r\033[K%s [%s] ", label_.c_str(), bar.c_str());
  if (unit_ == Unit::kMegabytes) {
    const double seconds = static_cast<double>(std::max<int64_t>(1, now - start_ms_)) * 1e-3;
    const double rate = static_cast<double>(done) / seconds;
    std::fprintf(stderr, "%.1f of %.1f MB, %.1f MB/s", static_cast<double>(done) * 1e-6,
                 static_cast<double>(total) * 1e-6, rate * 1e-6);
    if (rate > 0) {
      std::fprintf(stderr, ", %.0f s left", static_cast<double>(total - done) / rate);
    }
  } else {
    std::fprintf(stderr, "%3lld %%", static_cast<long long>(done * 100 / total));
  }
  std::fflush(stderr);
}

bool has_colors() {
  const char* none = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool is_dumb = terminal == nullptr || std::strcmp(terminal, "dumb") == 0;
  return stdout_is_terminal() && !is_dumb && (none == nullptr || none[0] == '\0');
}

void mark_pastes(bool marks) {
  write_raw(stderr, marks ? "\033[?2004h" : "\033[?2004l");
  std::fflush(stderr);
}

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) != 0; }
bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) != 0; }

std::atomic<bool>& interrupted() { return g_interrupted; }

int signal_pipe() {
  if (g_signal_pipe[0] < 0 && ::pipe2(g_signal_pipe, O_NONBLOCK | O_CLOEXEC) != 0) return -1;
  return g_signal_pipe[0];
}

void note_signal() {
  const int error = errno;
  // A full pipe can be read, too.
  if (g_signal_pipe[1] >= 0) (void)!::write(g_signal_pipe[1], "", 1);
  errno = error;
}

void forget_signals() {
  char bytes[64];
  while (g_signal_pipe[0] >= 0 && ::read(g_signal_pipe[0], bytes, sizeof(bytes)) > 0) {
  }
}

void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  // No SA_RESTART: a line being read must come back to be abandoned.
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

}  // namespace midge
