// What a person at a terminal sees beside the output itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace midge {

/// The border: whatever the program writes goes through these, so that no byte of a file, a name or
/// a model steers the terminal that shows it (engine/core/visible.h). A check of the sources
/// refuses other ways (tests/hostile/check_sources.cmake).
///
/// printf for the program's own lines, to pipes too: they end in logs, and logs on terminals.
[[gnu::format(printf, 2, 3)]] void print(std::FILE* stream, const char* format, ...);
/// Writes what waits. Ctrl-C meanwhile is no error of the stream.
void flush(std::FILE* stream);

/// A document of the program's own making, as it is: JSON, which escapes its strings.
void print_document(std::string_view text);

/// Standard output for what a model or a user writes: visible on a terminal, raw in a pipe.
class TextOutput {
 public:
  TextOutput();

  /// Writes a piece of the text and flushes. On a terminal, bytes that may still become a character
  /// with the next piece wait for it.
  void write(std::string_view text) { write(text, false); }
  /// The same, dimmed where there are colours.
  void write_dim(std::string_view text) { write(text, true); }
  /// Writes what waits.
  void finish();

 private:
  void write(std::string_view text, bool dim);

  bool terminal_;
  std::string waiting_;
};

/// A progress bar on stderr, drawn only if stderr is a terminal; erased when it is destroyed.
class ProgressBar {
 public:
  enum class Unit {
    kPercent,
    kMegabytes,  ///< done and total are bytes; the rate and the time that is left are shown too
  };

  /// label: "loading", for example; made visible.
  explicit ProgressBar(std::string label, Unit unit = Unit::kPercent);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// Draws at most ten times a second.
  void update(int64_t done, int64_t total);

 private:
  std::string label_;
  Unit unit_;
  bool enabled_;
  int64_t start_ms_;
  int64_t last_draw_ms_ = -1;
};

/// True if standard output is a terminal that has colours, and NO_COLOR (no-color.org) is not set.
bool has_colors();

/// Asks the terminal on stderr to mark what is pasted ("bracketed paste"), or no longer to.
void mark_pastes(bool marks);

/// True if it is a terminal.
bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();

/// Set by Ctrl-C (SIGINT) after watch_interrupts(); the reader clears it.
std::atomic<bool>& interrupted();

/// A pipe's end that can be read after note_signal(): who waits for input waits for it, too, as any
/// thread may run a handler. -1 if there is none.
int signal_pipe();
/// For signal handlers.
void note_signal();
/// Empties the pipe.
void forget_signals();

/// Makes Ctrl-C set interrupted() instead of ending the program. A second Ctrl-C before the flag is
/// cleared ends it, so that nothing can make the program unstoppable.
void watch_interrupts();

}  // namespace midge
