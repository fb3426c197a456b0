// Reads lines from a person or a pipe.
#pragma once

#include <memory>
#include <string>

namespace midge {

enum class LineStatus {
  kLine,         ///< *line holds it, without the newline
  kInterrupted,  ///< Ctrl-C: the line was abandoned
  kEnd,          ///< end of input
};

/// With editing and history on a terminal (where this build has libedit); plain lines from a pipe.
/// What is pasted is one line, newlines included.
class LineEditor {
 public:
  /// history_path: file that keeps the lines across runs, for its owner alone; empty: none.
  static std::unique_ptr<LineEditor> create(const std::string& history_path);
  virtual ~LineEditor() = default;
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// Shows the prompt on a terminal and reads a line.
  virtual LineStatus read(const std::string& prompt, std::string* line) = 0;
  /// Puts a text of one or more lines into the history.
  virtual void remember(const std::string& text) = 0;

 protected:
  LineEditor() = default;
};

/// Where the user's history belongs (the XDG Base Directory Specification):
/// $XDG_STATE_HOME/midge/history or ~/.local/state/midge/history; empty if there is none.
std::string history_path();

}  // namespace midge
