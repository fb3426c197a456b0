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
class LineEditor {
 public:
  static std::unique_ptr<LineEditor> create(std::string prompt);
  virtual ~LineEditor() = default;
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  virtual LineStatus read(std::string* line) = 0;

 protected:
  LineEditor() = default;
};

}  // namespace midge
