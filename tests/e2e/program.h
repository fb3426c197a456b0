// The program as tests run it: behind pipes or on a terminal of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace midge::test {

inline constexpr const char* kTinyPhi = MIDGE_SOURCE_DIR "/assets/models/tiny-phi";
inline constexpr const char* kTinyMimo = MIDGE_SOURCE_DIR "/assets/models/tiny-mimo";

/// The program with its arguments; MIDGE_COMMAND names it behind its emulator, if any.
std::vector<std::string> command(const std::vector<std::string>& arguments);

/// Becomes the command.
[[noreturn]] void execute(const std::vector<std::string>& words);

/// A running program; what it writes to standard output and error comes back as one text.
class Program {
 public:
  /// Of standard output and error. Input is a pipe; the terminal, too; or the terminal that is the
  /// controlling one of a session of its own, where keys like Ctrl-C are signals. kJob: there, with
  /// a shell's part played by another process, which goes on with the program when it is stopped.
  enum class Output { kPipe, kTerminal, kTerminalThatIsInput, kSession, kJob };

  explicit Program(const std::vector<std::string>& arguments, Output output = Output::kPipe);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& text() const { return text_; }
  void write(std::string_view line) const;
  /// Waits until the terminal itself echoes no more: the program reads characters.
  bool wait_for_editor() const;
  /// Reads until the text has `count` times `part`; false when the program ends before.
  bool read_until(std::string_view part, int count = 1);
  void resize(int columns, int rows) const;
  /// Ends its input, reads the rest, and returns the wait status.
  int finish();
  /// The same with the exit code; -1 if a signal ended it.
  int exit_code();

 private:
  int occurrences(std::string_view part) const;
  bool read_some();

  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string text_;
};

/// A definition of the shell function midge, which is the program.
std::string midge_function();
/// What a command of /bin/sh writes to standard output, and its wait status.
std::string shell_output(const std::string& command, int* status = nullptr);

/// What the program shows on a terminal of its own.
std::string on_terminal(const std::vector<std::string>& arguments, int* exit_code = nullptr);
/// What it writes to pipes, its input being `input`.
std::string in_pipe(const std::vector<std::string>& arguments, std::string_view input = {});

}  // namespace midge::test
