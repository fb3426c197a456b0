// The program and files that change under it; copies with --no-mmap.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/core/status.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::TempDir;

constexpr const char* kModel = MIDGE_SOURCE_DIR "/assets/models/tiny-phi";
constexpr int kWaitMs = 100'000;

// The program with its arguments; MIDGE_COMMAND names it behind its emulator, if any.
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

[[noreturn]] void execute(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

// A running program; what it writes to standard output and error comes back as one text.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments) {
    const std::vector<std::string> words = command(arguments);
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    EXPECT_EQ(::pipe(in), 0);
    EXPECT_EQ(::pipe(out), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::dup2(out[1], STDERR_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
      execute(words);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  ~Program() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    finish();
    ::close(output_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& text() const { return text_; }

  void write(std::string_view line) const {
    EXPECT_EQ(::write(input_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }

  // Reads until the text has `count` times `part`; false when the program ends before.
  bool read_until(std::string_view part, int count = 1) {
    while (occurrences(part) < count) {
      if (!read_some()) return false;
    }
    return true;
  }

  // Ends its input, reads the rest, and returns the wait status.
  int finish() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
    while (pid_ > 0 && read_some()) {
    }
    int status = 0;
    if (pid_ > 0) ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  int occurrences(std::string_view part) const {
    int count = 0;
    for (size_t at = 0; (at = text_.find(part, at)) != std::string::npos; at += part.size()) {
      ++count;
    }
    return count;
  }

  bool read_some() {
    struct pollfd ready = {output_, POLLIN, 0};
    if (::poll(&ready, 1, kWaitMs) <= 0) return false;
    char buffer[4096];
    const ssize_t got = ::read(output_, buffer, sizeof(buffer));
    if (got > 0) text_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  }

  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string text_;
};

// A copy of the bundled model that may be damaged.
std::string copied_model(const TempDir& dir) {
  std::filesystem::copy(kModel, dir.path());
  return dir.file("model.safetensors");
}

TEST(CliFiles, ATruncatedMappedFileIsReported) {
  const TempDir dir;
  const std::string weights = copied_model(dir);
  Program program({"chat", dir.path(), "-n", "4"});
  program.write("Hello\n");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  std::filesystem::resize_file(weights, 4096);
  program.write("Again\n");
  const int status = program.finish();
  ASSERT_TRUE(WIFEXITED(status)) << status << program.text();
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(StatusCode::kIoError)) << program.text();
  EXPECT_NE(program.text().find("midge: error: " + weights + ": truncated while in use"),
            std::string::npos)
      << program.text();
}

TEST(CliFiles, ACopyOutlivesItsFile) {
  const TempDir dir;
  const std::string weights = copied_model(dir);
  Program program({"chat", dir.path(), "-n", "4", "--no-mmap"});
  program.write("Hello\n");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  std::filesystem::resize_file(weights, 0);
  program.write("Again\n");
  EXPECT_TRUE(program.read_until("tok/s (", 2)) << program.text();
  EXPECT_EQ(program.finish(), 0) << program.text();
}

TEST(CliFiles, OtherBusErrorsEndTheProgramAsEver) {
  Program program({"chat", kModel, "-n", "4"});
  program.write("Hello\n");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  ASSERT_EQ(::kill(program.pid(), SIGBUS), 0);
  const int status = program.finish();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) << status << program.text();
}

TEST(CliFiles, CopyingShowsItsProgressOnATerminal) {
  for (const bool copies : {false, true}) {
    std::vector<std::string> arguments = {"inspect", kModel};
    if (copies) arguments.emplace_back("--no-mmap");
    const std::vector<std::string> words = command(arguments);
    int terminal = -1;
    const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    ASSERT_GE(pid, 0);
    if (pid == 0) execute(words);
    std::string text;
    char buffer[4096];
    // A terminal whose other side is gone gives an error, not an end.
    for (ssize_t got; (got = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
    }
    ::close(terminal);
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0) << text;
    EXPECT_EQ(text.find("reading model.safetensors [") != std::string::npos, copies) << text;
    EXPECT_EQ(text.find(" of 5.5 MB") != std::string::npos, copies) << text;
  }
}

TEST(CliFiles, TokensBeyondTheRowsAreRefused) {
  const TempDir dir;
  copied_model(dir);
  dir.write("tokenizer_config.json",
            R"({"added_tokens_decoder":{"2000000":{"content":"<far>","special":true}}})");
  Program program({"run", dir.path(), "-p", "Hello", "-n", "2"});
  const int status = program.finish();
  ASSERT_TRUE(WIFEXITED(status)) << program.text();
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(StatusCode::kModelMismatch)) << program.text();
  EXPECT_NE(
      program.text().find(dir.path() + ": the tokenizer has ids up to 2000000, the embedding"),
      std::string::npos)
      << program.text();
}

}  // namespace
}  // namespace midge
