// What a person at a terminal sees beside the output itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace midge {

/// A progress bar on stderr, drawn only if stderr is a terminal; erased when it is destroyed.
class ProgressBar {
 public:
  enum class Unit {
    kPercent,
    kMegabytes,  ///< done and total are bytes
  };

  /// label: "loading", for example.
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
  int64_t last_draw_ms_ = -1;
};

/// True if standard input / standard error is a terminal.
bool stdin_is_terminal();
bool stderr_is_terminal();

/// Set by Ctrl-C (SIGINT) after watch_interrupts(); the reader clears it.
std::atomic<bool>& interrupted();

/// Makes Ctrl-C set interrupted() instead of ending the program. A second Ctrl-C before the flag is
/// cleared ends it, so that nothing can make the program unstoppable.
void watch_interrupts();

}  // namespace midge
