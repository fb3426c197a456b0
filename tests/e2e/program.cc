#include "tests/e2e/program.h"

#include <cstdio>

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace midge::test {
namespace {

constexpr int kWaitMs = 100'000;

// What a shell does for a job: it has the terminal; when it is stopped, it goes on with it.
[[noreturn]] void run_as_job(const std::vector<std::string>& words) {
  ::signal(SIGTTOU, SIG_IGN);
  const pid_t job = ::fork();
  if (job == 0) {
    ::setpgid(0, 0);
    ::tcsetpgrp(STDIN_FILENO, ::getpid());
    ::signal(SIGTTOU, SIG_DFL);
    execute(words);
  }
  ::setpgid(job, job);
  int status = 0;
  while (::waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status)) {
    ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
    constexpr std::string_view kStopped = "[stopped]\n";
    (void)!::write(STDOUT_FILENO, kStopped.data(), kStopped.size());
    ::tcsetpgrp(STDIN_FILENO, job);
    ::kill(-job, SIGCONT);
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

}  // namespace

std::vector<std::string> command(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  std::string rest = MIDGE_COMMAND;
  for (size_t bar; (bar = rest.find('|')) != std::string::npos; rest.erase(0, bar + 1)) {
    if (bar > 0) words.push_back(rest.substr(0, bar));
  }
  words.push_back(rest);
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

void execute(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

Program::Program(const std::vector<std::string>& arguments, Output output) {
  const std::vector<std::string> words = command(arguments);
  if (output == Output::kSession || output == Output::kJob) {
    struct winsize size = {24, 80, 0, 0};
    pid_ = ::forkpty(&output_, nullptr, nullptr, &size);
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      if (output == Output::kJob) run_as_job(words);
      execute(words);
    }
    input_ = ::dup(output_);
    return;
  }
  int in[2] = {-1, -1};
  int out[2] = {-1, -1};
  EXPECT_EQ(::pipe(in), 0);
  EXPECT_EQ(output == Output::kPipe ? ::pipe(out)
                                    : ::openpty(&out[0], &out[1], nullptr, nullptr, nullptr),
            0);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(output == Output::kTerminalThatIsInput ? out[1] : in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(out[1], STDERR_FILENO);
    for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    execute(words);
  }
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (output == Output::kTerminalThatIsInput) ::dup2(output_, input_);
}

Program::~Program() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
  finish();
  ::close(output_);
}

void Program::write(std::string_view line) const {
  EXPECT_EQ(::write(input_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
}

bool Program::wait_for_editor() const {
  for (int waited_ms = 0; waited_ms < kWaitMs; ++waited_ms) {
    struct termios mode = {};
    if (::tcgetattr(output_, &mode) == 0 && (mode.c_lflag & ECHO) == 0) return true;
    ::usleep(1000);
  }
  return false;
}

bool Program::read_until(std::string_view part, int count) {
  while (occurrences(part) < count) {
    if (!read_some()) return false;
  }
  return true;
}

void Program::resize(int columns, int rows) const {
  struct winsize size = {static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0,
                         0};
  EXPECT_EQ(::ioctl(output_, TIOCSWINSZ, &size), 0);
}

int Program::finish() {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
  while (pid_ > 0 && read_some()) {
  }
  int status = 0;
  if (pid_ > 0) ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

int Program::exit_code() {
  const int status = finish();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int Program::occurrences(std::string_view part) const {
  int count = 0;
  for (size_t at = 0; (at = text_.find(part, at)) != std::string::npos; at += part.size()) {
    ++count;
  }
  return count;
}

bool Program::read_some() {
  struct pollfd ready = {output_, POLLIN, 0};
  if (::poll(&ready, 1, kWaitMs) <= 0) return false;
  char buffer[4096];
  const ssize_t got = ::read(output_, buffer, sizeof(buffer));
  if (got > 0) text_.append(buffer, static_cast<size_t>(got));
  return got > 0;
}

std::string midge_function() {
  std::string definition = "midge() {";
  for (const std::string& word : command({})) definition += " '" + word + "'";
  return definition + " \"$@\"; }";
}

std::string shell_output(const std::string& command, int* status) {
  std::FILE* shell = ::popen(command.c_str(), "r");
  EXPECT_NE(shell, nullptr);
  std::string text;
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), shell)) > 0;) {
    text.append(buffer, got);
  }
  const int ended = ::pclose(shell);
  if (status != nullptr) *status = ended;
  return text;
}

std::string on_terminal(const std::vector<std::string>& arguments, int* exit_code) {
  const std::vector<std::string> words = command(arguments);
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  EXPECT_GE(pid, 0);
  if (pid == 0) execute(words);
  std::string text;
  char buffer[4096];
  // A terminal whose other side is gone gives an error, not an end.
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(terminal);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  if (exit_code != nullptr) *exit_code = WEXITSTATUS(status);
  return text;
}

std::string in_pipe(const std::vector<std::string>& arguments, std::string_view input) {
  Program program(arguments);
  program.write(input);
  program.finish();
  return program.text();
}

}  // namespace midge::test
