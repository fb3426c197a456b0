// The program and hostile files: that change under it, whose names steer terminals; --no-mmap.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/core/status.h"
#include "tests/e2e/program.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::in_pipe;
using test::on_terminal;
using test::Program;
using test::TempDir;

constexpr const char* kModel = test::kTinyPhi;

// A copy of the bundled model that may be damaged.
std::string copied_model(const TempDir& dir) {
  std::filesystem::copy(kModel, dir.path());
  return dir.file("model.safetensors");
}

TEST(CliFiles, ATruncatedMappedFileIsReported) {
  const TempDir dir;
  const std::string weights = copied_model(dir);
  Program program({"chat", dir.path(), "-n", "4", "--verbose"});
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
  Program program({"chat", dir.path(), "-n", "4", "--no-mmap", "--verbose"});
  program.write("Hello\n");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  std::filesystem::resize_file(weights, 0);
  program.write("Again\n");
  EXPECT_TRUE(program.read_until("tok/s (", 2)) << program.text();
  EXPECT_EQ(program.finish(), 0) << program.text();
}

TEST(CliFiles, OtherBusErrorsEndTheProgramAsEver) {
  Program program({"chat", kModel, "-n", "4", "--verbose"});
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
    int status = -1;
    const std::string text = on_terminal(arguments, &status);
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

// Bytes that would steer a terminal, as a name of a directory and as what is left of them.
constexpr const char* kSteering =
    "\x1B]52;c;ZQ==\x07\xC2\x9B"
    "2J\xE2\x80\xAE";
constexpr const char* kMadeVisible = "\\x1b]52;c;ZQ==\\x07\\u009b2J\\u202e";

// No control in `text` but those of layout and, where it is a terminal's, of the progress bar.
void expect_steers_nothing(std::string text) {
  for (const std::string_view own : {"\r\033[K", "\r\n"}) {
    for (size_t at; (at = text.find(own)) != std::string::npos;) text.erase(at, own.size());
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const bool layout = byte == '\n' || byte == '\t';
    EXPECT_TRUE(layout || (byte >= 0x20 && byte != 0x7F)) << i << ": " << printable(text, 4000);
    if (byte == 0xC2 && i + 1 < text.size()) {
      EXPECT_GE(static_cast<uint8_t>(text[i + 1]), 0xA0) << printable(text, 4000);
    }
  }
  EXPECT_EQ(text.find("\xE2\x80\xAE"), std::string::npos) << printable(text, 4000);
}

TEST(CliTerminal, PathsInMessagesSteerNothing) {
  const TempDir dir;
  for (const std::string& text :
       {on_terminal({"inspect", dir.file(kSteering)}), in_pipe({"inspect", dir.file(kSteering)}),
        in_pipe({"inspect", "--no-such-option", kSteering})}) {
    expect_steers_nothing(text);
  }
  // A newline in a name must not make a line of its own.
  const std::string forged = in_pipe({"inspect", dir.file("x\nmidge: all is well")});
  EXPECT_EQ(forged.find('\n'), forged.size() - 1) << forged;
}

TEST(CliTerminal, ReportsAndProgressSteerNothing) {
  const TempDir parent;
  const std::string model = parent.file(kSteering);
  std::filesystem::copy(kModel, model);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"inspect", model},
                                                    {"inspect", model, "--tensors"},
                                                    {"inspect", model, "--no-mmap"},
                                                    {"inspect", model, "--json"}}) {
    const std::string text = on_terminal(arguments);
    expect_steers_nothing(text);
    EXPECT_TRUE(text.find("\\x1b]52;c;ZQ==") != std::string::npos ||
                text.find("\\u001b]52;c;ZQ==") != std::string::npos)
        << text;
  }
}

TEST(CliTerminal, WarningsSteerNothing) {
  const TempDir parent;
  const std::string model = parent.file(kSteering);
  std::filesystem::copy(std::string(MIDGE_SOURCE_DIR) + "/assets/models/tiny-mimo", model);
  // A tied model that stores a head all the same gives a warning.
  std::string config = test::read_bytes(model + "/config.json");
  const std::string untied = "\"tie_word_embeddings\": false";
  const size_t at = config.find(untied);
  ASSERT_NE(at, std::string::npos) << config;
  config.replace(at, untied.size(), "\"tie_word_embeddings\": true");
  std::ofstream(model + "/config.json") << config;
  const std::string text = in_pipe({"run", model, "-p", "Hello", "-n", "1"});
  EXPECT_NE(text.find("midge: warning: "), std::string::npos) << text;
  EXPECT_NE(text.find(kMadeVisible), std::string::npos) << text;
  expect_steers_nothing(text);
}

TEST(CliTerminal, TheBusErrorHandlerSteersNothing) {
  const TempDir parent;
  const std::string model = parent.file(kSteering);
  std::filesystem::copy(kModel, model);
  Program program({"chat", model, "-n", "4", "--verbose"});
  program.write("Hello\n");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  std::filesystem::resize_file(model + "/model.safetensors", 4096);
  program.write("Again\n");
  const int status = program.finish();
  ASSERT_TRUE(WIFEXITED(status)) << status << program.text();
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(StatusCode::kIoError)) << program.text();
  EXPECT_NE(program.text().find(kMadeVisible), std::string::npos) << program.text();
  EXPECT_NE(program.text().find("model.safetensors: truncated while in use"), std::string::npos)
      << program.text();
  expect_steers_nothing(program.text());
}

// The token of one byte, by the program's own account.
std::string token_of_byte(const char* byte) {
  std::string ids = in_pipe({"tokenize", kModel, "-p", byte, "--ids-only"});
  while (!ids.empty() && ids.back() == '\n') ids.pop_back();
  EXPECT_EQ(ids.find_first_not_of("0123456789"), std::string::npos) << ids;
  return ids;
}

TEST(CliTerminal, WhatAModelWritesIsShownOnATerminalAndRawInAPipe) {
  const std::string escape = token_of_byte("\x1B");
  const std::vector<std::string> run = {
      "run", kModel, "--raw", "-p", "\xC2\x9BHi", "-n", "3", "--logit-bias", escape + "=1000000"};
  const std::string shown = on_terminal(run);
  expect_steers_nothing(shown);
  EXPECT_NE(shown.find("\\u009bHi\\x1b\\x1b\\x1b"), std::string::npos) << shown;
  EXPECT_NE(in_pipe(run).find("\xC2\x9BHi\x1B\x1B\x1B"), std::string::npos);
  std::vector<std::string> json = run;
  json.emplace_back("--json");
  const std::string document = in_pipe(json);
  expect_steers_nothing(document);
  EXPECT_NE(document.find("\"text\":\"\\u001b\\u001b\\u001b\""), std::string::npos) << document;
  EXPECT_NE(document.find("\"prompt\":\"\\u009bHi\""), std::string::npos) << document;

  const std::vector<std::string> decode = {"tokenize", kModel, "-d", escape};
  expect_steers_nothing(on_terminal(decode));
  EXPECT_EQ(in_pipe(decode), "\x1B\n");
}

TEST(CliTerminal, ChatShowsWhatAModelWrites) {
  const std::string escape = token_of_byte("\x1B");
  Program program({"chat", kModel, "-n", "3", "--logit-bias", escape + "=1000000", "--verbose"},
                  Program::Output::kTerminal);
  program.write("Hello\n");
  EXPECT_TRUE(program.read_until("tok/s (")) << program.text();
  program.finish();
  EXPECT_NE(program.text().find("\\x1b\\x1b\\x1b"), std::string::npos) << program.text();
  expect_steers_nothing(program.text());
}

#ifdef MIDGE_HAS_LIBEDIT

// A line that is pasted, and again as history brings it back.
TEST(CliTerminal, ChatShowsWhatIsPasted) {
  ASSERT_EQ(::setenv("LC_ALL", "C.UTF-8", 1), 0);
  for (const char* control : {"\u202e", "\u2066", "\u200f", "\u061c"}) {
    Program program({"chat", kModel, "-n", "1", "--verbose", "--no-history"},
                    Program::Output::kTerminalThatIsInput);
    ASSERT_TRUE(program.wait_for_editor());
    program.write(std::string("abc") + control + "def\n");
    ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
    ASSERT_TRUE(program.wait_for_editor());
    program.write("\x1B[A\x15/exit\n");  // up, Ctrl-U
    program.finish();
    EXPECT_NE(program.text().find("abc"), std::string::npos) << program.text();
    EXPECT_EQ(program.text().find(control), std::string::npos) << program.text();
  }
  ::unsetenv("LC_ALL");
}

#endif

}  // namespace
}  // namespace midge
