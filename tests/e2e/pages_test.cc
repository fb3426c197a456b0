// The commands that README.md and docs/program.md show: each is run, with tiny models in place of a
// reader's own.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/e2e/program.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

namespace fs = std::filesystem;

// A line of a page that begins with four spaces is code.
constexpr std::string_view kCode = "    ";

struct Shown {
  std::string page;
  std::string command;
  std::vector<std::string> output;  // lines below a command behind "$ "
};

std::string replaced(std::string text, std::string_view part, std::string_view by) {
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += by.size()) {
    text.replace(at, part.size(), by);
  }
  return text;
}

// Those of midge: what builds, installs or shows pages is not run here.
bool is_run(const std::string& command) {
  return command.find("midge ") != std::string::npos &&
         command.find("man -l") == std::string::npos && !command.starts_with("cmake") &&
         !command.starts_with("./scripts");
}

std::vector<Shown> shown_commands(const std::string& page) {
  std::vector<Shown> commands;
  std::ifstream file(std::string(MIDGE_SOURCE_DIR "/") + page);
  bool is_output = false;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kCode)) {
      is_output = false;
      continue;
    }
    line.erase(0, kCode.size());
    if (line.starts_with("$ ")) {
      is_output = true;
      commands.push_back({page, line.substr(2), {}});
    } else if (is_output) {
      commands.back().output.push_back(line);
    } else if (is_run(line)) {
      commands.push_back({page, line.substr(0, line.find("  #")), {}});
    }
  }
  return commands;
}

// What stands for a reader's own files, and contexts that tiny models have.
std::string with_tiny_models(std::string command) {
  for (const char* name :
       {"path/to/Phi-4-mini-instruct.gguf", "path/to/model.gguf", "path/to/model"}) {
    command = replaced(command, name, test::kTinyMimo);
  }
  command = replaced(command, "build/release/midge", "midge");
  // A server ends when it is asked to, and its exit code is that of the command.
  if (command.starts_with("midge serve")) {
    command += " --port 0 & sleep 2; kill -TERM $(cat /proc/$!/task/$!/children); wait $!";
  }
  return replaced(command, "-c 16384", "-c 512");
}

// Exit code and everything that is written. The folder is the home.
std::string run(const std::string& command, const test::TempDir& home, int* exit_code) {
  home.write("script.sh", "cd '" + home.path() + "' && export HOME=$PWD && " +
                              test::midge_function() + "; exec 2>&1 </dev/null; " + command);
  return test::shell_output("sh '" + home.file("script.sh") + "'", exit_code);
}

// Speeds differ from run to run.
std::string without_speeds(const std::string& text) {
  return std::regex_replace(text, std::regex("[0-9.]+ tok/s"), "N tok/s");
}

TEST(Pages, TheirCommandsRun) {
  const test::TempDir home;
  for (const char* folder : {".local/share/bash-completion/completions", ".zsh/completions",
                             ".config/fish/completions"}) {
    fs::create_directories(home.path() + "/" + folder);
  }
  size_t count = 0;
  for (const char* page : {"README.md", "docs/program.md"}) {
    for (const Shown& shown : shown_commands(page)) {
#if !defined(MIDGE_HAS_SERVER)
      if (shown.command.find("midge serve") != std::string::npos) continue;
#endif
      SCOPED_TRACE(shown.page + ": " + shown.command);
      int exit_code = -1;
      const std::string text =
          without_speeds(run(with_tiny_models(shown.command), home, &exit_code));
      EXPECT_EQ(exit_code, 0) << text;
      ++count;
      if (shown.command.find("path/to") != std::string::npos) continue;  // another model's output
      for (const std::string& line : shown.output) {
        EXPECT_NE(text.find(without_speeds(line)), std::string::npos) << line << "\n" << text;
      }
    }
  }
  EXPECT_GE(count, 12u);
}

}  // namespace
}  // namespace midge
