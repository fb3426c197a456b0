// Command lines that are wrong, and what the program says: wrong_inputs.txt, line for line.
//
// With MIDGE_UPDATE_GOLDENS=1 the file is written anew; what changed is to be read.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/e2e/program.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

constexpr const char* kGoldens = MIDGE_SOURCE_DIR "/tests/e2e/wrong_inputs.txt";
constexpr size_t kMessageMax = 160;

struct Case {
  std::string command;  // of a shell
  std::string outcome;  // exit code and lines
};

std::vector<Case> read_cases() {
  std::vector<Case> cases;
  std::ifstream file(kGoldens);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("$ ")) {
      cases.push_back({line.substr(2), {}});
    } else if (!cases.empty() && !line.empty()) {
      cases.back().outcome += line + "\n";
    }
  }
  return cases;
}

// Files that the commands name, in the folder where they run.
void write_files(const test::TempDir& dir) {
  dir.write("broken.json", "{");
  dir.write("broken.gguf", "GGUF");
  dir.write("text.txt", "Once upon a time");
  dir.write("broken.jsonl", "\n{");
  dir.write("no-answer.jsonl", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"]}");
  dir.write("fields.csv", "q,1,2,3,4,A\nq,1,2,3,B\n");
  dir.write("letter.csv", "question,A,B,answer\nq,1,2,c\n");
  for (const char* name : {"mkdir -p '%s/empty' '%s/two'", "cp '%s/broken.gguf' '%s/two/a.gguf'",
                           "cp '%s/broken.gguf' '%s/two/b.gguf'"}) {
    std::string command = name;
    for (size_t at; (at = command.find("%s")) != std::string::npos;) {
      command.replace(at, 2, dir.path());
    }
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
}

// Exit code and everything that is written, as a shell in the folder has them.
std::string run(const Case& wrong, const test::TempDir& dir) {
  return test::shell_output("exec </dev/null; cd '" + dir.path() + "' && " +
                            test::midge_function() + "; exec 2>&1; " + wrong.command +
                            "; echo \"exit $?\"");
}

TEST(WrongInputs, AreRefusedInOneLine) {
  const test::TempDir dir;
  write_files(dir);
  const bool update = std::getenv("MIDGE_UPDATE_GOLDENS") != nullptr;
  std::string goldens;
  const std::vector<Case> cases = read_cases();
  EXPECT_GE(cases.size(), 30u);
  for (const Case& wrong : cases) {
    const std::string outcome = run(wrong, dir);
    goldens += "$ " + wrong.command + "\n" + outcome + "\n";
    if (update) continue;
    EXPECT_EQ(outcome, wrong.outcome) << wrong.command;
    const size_t end = outcome.find('\n');
    EXPECT_LE(end, kMessageMax) << wrong.command;
    EXPECT_EQ(outcome.find("midge: error: "), 0u) << outcome;
    EXPECT_EQ(outcome.find("exit 0"), std::string::npos) << wrong.command;
  }
  if (update) std::ofstream(kGoldens) << goldens;
}

}  // namespace
}  // namespace midge
