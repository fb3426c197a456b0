// What people meet first: how midge run takes a model and a prompt, and where it looks for models.
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/core/status.h"
#include "tests/e2e/program.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

namespace fs = std::filesystem;
using test::in_pipe;
using test::kTinyMimo;
using test::kTinyPhi;
using test::on_terminal;
using test::Program;
using test::TempDir;

constexpr const char* kSum = "What is 7 + 5?";
constexpr const char* kAnswer = "7 + 5 = 12.\n";
constexpr const char* kTale = "Once upon a time";
constexpr const char* kTaleGoesOn = "Once upon a time, there was a young girl";

int exit_code(const std::vector<std::string>& arguments) { return Program(arguments).exit_code(); }

TEST(RunPrompt, MayStandBehindTheModelOrItsOption) {
  EXPECT_EQ(in_pipe({"run", "tiny-phi", kSum, "-q"}), kAnswer);
  EXPECT_EQ(in_pipe({"run", "tiny-phi", "-q", "-p", kSum}), kAnswer);
  EXPECT_EQ(in_pipe({"run", "-m", "tiny-phi", kSum, "-q"}), kAnswer);
  EXPECT_EQ(in_pipe({"run", "--model", kTinyPhi, "--prompt", kSum, "-q"}), kAnswer);
}

TEST(RunPrompt, ComesThroughAPipe) {
  EXPECT_EQ(in_pipe({"run", "tiny-phi", "-q"}, std::string(kSum) + "\n"), kAnswer);
  EXPECT_EQ(in_pipe({"run", "tiny-phi", "-q", "-p", "-"}, kSum), kAnswer);
  // What is given comes first, and a line of its own follows.
  const std::string both =
      in_pipe({"run", "tiny-phi", "--raw", "-n", "1", "--json", "One day"}, "a dog\n");
  EXPECT_NE(both.find("\"prompt\":\"One day\\na dog\""), std::string::npos) << both;
}

TEST(RunPrompt, IsATurnWhereTheModelHasATemplate) {
  const std::string chosen = in_pipe({"run", "tiny-phi", kSum});
  EXPECT_NE(chosen.find("answering a chat turn"), std::string::npos) << chosen;
  EXPECT_NE(chosen.find(kAnswer), std::string::npos) << chosen;
  EXPECT_EQ(chosen.find(kSum), std::string::npos) << "the prompt is not repeated: " << chosen;
  const std::string asked = in_pipe({"run", "tiny-phi", "--chat", kSum});
  EXPECT_EQ(asked.find("answering"), std::string::npos) << asked;
  const std::string system =
      in_pipe({"run", "tiny-phi", "--system", "Be brief.", kSum, "--json", "-n", "1"});
  EXPECT_NE(system.find("<|system|>Be brief.<|end|><|user|>What is"), std::string::npos) << system;
}

TEST(RunPrompt, IsShownOnceAndContinuedWhenRaw) {
  for (const std::string& text : {in_pipe({"run", "tiny-phi", "--raw", kTale, "-n", "12"}),
                                  on_terminal({"run", "tiny-phi", "--raw", kTale, "-n", "12"})}) {
    EXPECT_EQ(text.find(kTaleGoesOn), 0u) << text;
    EXPECT_EQ(text.find(kTale, 1), std::string::npos) << text;
  }
  const std::string quiet = in_pipe({"run", "tiny-phi", "--raw", kTale, "-n", "12", "-q"});
  EXPECT_EQ(quiet.find(", there was a young girl"), 0u) << quiet;
}

TEST(RunPrompt, TypedAtTheTerminalIsNotRepeated) {
  Program program({"run", "tiny-phi", "--raw", "-n", "12", "-p", "-"}, Program::Output::kSession);
  program.write(std::string(kTale) + "\n\x04");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  // The terminal's echo alone.
  EXPECT_EQ(program.text().find(kTale, program.text().find(kTale) + 1), std::string::npos)
      << program.text();
  EXPECT_EQ(program.exit_code(), 0);
}

TEST(RunPrompt, IsNotShownBeforeEverythingIsChecked) {
  const std::string text = in_pipe({"run", "tiny-phi", "--raw", kTale, "--top-p", "0"});
  EXPECT_EQ(text.find("midge: error: --top-p is '0'"), 0u) << text;
}

TEST(RunPrompt, SpecialTokensCountOnlyWhenAsked) {
  const std::string text = in_pipe({"run", "tiny-phi", "--raw", "a<|end|>", "--json", "-n", "1"});
  const std::string special =
      in_pipe({"run", "tiny-phi", "--special", "a<|end|>", "--json", "-n", "1"});
  EXPECT_NE(special.find("\"prompt_tokens\":2,"), std::string::npos) << special;
  EXPECT_EQ(text.find("\"prompt_tokens\":2,"), std::string::npos) << text;
}

TEST(RunPrompt, SeedsAreDrawnAndShown) {
  const std::string drawn = in_pipe({"run", "tiny-phi", "--temp", "0.9", "-n", "2", kSum});
  const size_t at = drawn.find("seed ");
  ASSERT_NE(at, std::string::npos) << drawn;
  const std::string seed = drawn.substr(at + 5, drawn.find('\n', at) - at - 5);
  EXPECT_EQ(in_pipe({"run", "tiny-phi", "--temp", "0.9", "-n", "2", kSum, "-q", "--seed", seed}),
            in_pipe({"run", "tiny-phi", "--temp", "0.9", "-n", "2", kSum, "-q", "--seed", seed}));
  EXPECT_EQ(in_pipe({"run", "tiny-phi", "-n", "2", kSum}).find("seed "), std::string::npos);
}

TEST(RunPrompt, OptionsWithoutEffectAreNamed) {
  const std::string unused =
      in_pipe({"run", "tiny-phi", kSum, "--top-p", "0.9", "--seed", "3", "-n", "1", "-q"});
  EXPECT_NE(unused.find("no effect of --top-p, --seed\n"), std::string::npos) << unused;
  const std::string used =
      in_pipe({"run", "tiny-phi", kSum, "--top-p", "0.9", "--temp", "0.5", "-n", "1"});
  EXPECT_EQ(used.find("no effect"), std::string::npos) << used;
}

TEST(RunPrompt, TooLongOnesSayWhatHelps) {
  Program program({"run", "tiny-phi", "--raw", "-c", "8", "-p", "-"});
  for (int i = 0; i < 20; ++i) program.write("once upon a time ");
  EXPECT_EQ(program.exit_code(), static_cast<int>(StatusCode::kContextFull));
  EXPECT_NE(program.text().find("; -c N makes it larger, up to 2048 tokens"), std::string::npos)
      << program.text();
}

TEST(RunPrompt, FilesMayBeStandardInput) {
  const std::string text = in_pipe({"run", "tiny-phi", "--messages", "-", "-q"},
                                   "[{\"role\":\"user\",\"content\":\"What is 7 + 5?\"}]");
  EXPECT_EQ(text, kAnswer);
}

TEST(FindModel, AFolderOfOneGgufFileIsThatFile) {
  const TempDir dir;
  std::ofstream(dir.file("tiny.gguf")) << "GGUF";
  std::ofstream(dir.file("config.json")) << "{}";
  const std::string text = in_pipe({"inspect", dir.path()});
  EXPECT_NE(text.find("tiny.gguf: "), std::string::npos) << text;
  std::ofstream(dir.file("other.gguf")) << "GGUF";
  const std::string both = in_pipe({"inspect", dir.path()});
  EXPECT_NE(both.find("a folder of 2 GGUF files, name one of them, as other.gguf"),
            std::string::npos)
      << both;
  // The parts of one model are one.
  const TempDir parts;
  std::ofstream(parts.file("big-00001-of-00002.gguf")) << "GGUF";
  std::ofstream(parts.file("big-00002-of-00002.gguf")) << "GGUF";
  const std::string split = in_pipe({"inspect", parts.path()});
  EXPECT_NE(split.find("big-00001-of-00002.gguf: "), std::string::npos) << split;
}

TEST(FindModel, SnapshotsOfHuggingFaceAreFound) {
  const TempDir hub;
  const std::string repository = hub.path() + "/models--org--tiny";
  fs::create_directories(repository + "/refs");
  fs::create_directories(repository + "/snapshots/0123abcd");
  fs::create_directories(repository + "/snapshots/ffff");
  std::ofstream(repository + "/refs/main") << "0123abcd";
  for (const fs::directory_entry& file : fs::directory_iterator(kTinyPhi)) {
    fs::create_symlink(file.path(),
                       repository + "/snapshots/0123abcd/" + file.path().filename().string());
  }
  ASSERT_EQ(::setenv("HF_HUB_CACHE", hub.path().c_str(), 1), 0);
  EXPECT_EQ(in_pipe({"run", "org/tiny", kSum, "-q"}), kAnswer);
  const std::string file = in_pipe({"inspect", "org/tiny/model.gguf"});
  EXPECT_NE(file.find("hf download org/tiny model.gguf"), std::string::npos) << file;
  // Without a branch the only snapshot left is taken.
  fs::remove_all(repository + "/refs");
  fs::remove_all(repository + "/snapshots/ffff");
  EXPECT_EQ(in_pipe({"run", "org/tiny", kSum, "-q"}), kAnswer);
  const std::string absent = in_pipe({"run", "org/other", kSum});
  EXPECT_NE(absent.find("hf download org/other"), std::string::npos) << absent;
  EXPECT_EQ(exit_code({"run", "org/../../etc", kSum}), static_cast<int>(StatusCode::kNotFound));
  ::unsetenv("HF_HUB_CACHE");
}

TEST(SlowPaths, AreSaidWithWhatHelps) {
  // 62 MB of floats: of less nobody notices.
  const TempDir dir;
  test::write_checkpoint(
      dir, {.hidden = 512, .layers = 1, .heads = 8, .kv_heads = 2, .head_dim = 64, .vocab = 30000});
  const std::vector<std::string> bench = {"bench", dir.path(), "--decode-only", "-n", "1"};
  const std::string slow = in_pipe(bench);
  EXPECT_NE(slow.find("midge: warning: float weights run as they are, several times slower than "
                      "packed ones; --recipe int8 or --recipe fast packs them"),
            std::string::npos)
      << slow;
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--recipe", "int8"}, {"--arithmetic", "float"}}) {
    std::vector<std::string> words = bench;
    words.insert(words.end(), options.begin(), options.end());
    const std::string text = in_pipe(words);
    EXPECT_EQ(text.find("warning: float"), std::string::npos) << text;
  }
}

TEST(FindModel, EncodingsHaveTheNamesOfGguf) {
  for (const char* name : {"q8b32", "q8_0", "Q8_0"}) {
    const std::string text =
        in_pipe({"run", kTinyMimo, "--weights", name, "--raw", kTale, "-n", "4", "-q"});
    EXPECT_EQ(text,
              in_pipe({"run", kTinyMimo, "--weights", "q8b32", "--raw", kTale, "-n", "4", "-q"}))
        << name;
  }
  const std::string text =
      in_pipe({"run", "tiny-phi", "--tensor", "*=Q4_0", "--raw", kTale, "-n", "1", "-q"});
  EXPECT_EQ(text.find("error"), std::string::npos) << text;
}

TEST(Help, IsShortLongOrOfEverything) {
  const std::string none = in_pipe({});
  EXPECT_NE(none.find("Commands:\n  run "), std::string::npos) << none;
  EXPECT_EQ(in_pipe({"help"}), none);
  const std::string brief = in_pipe({"run", "-h"});
  const std::string whole = in_pipe({"run", "--help"});
  EXPECT_EQ(brief.find("--min-p"), std::string::npos) << brief;
  EXPECT_NE(whole.find("--min-p"), std::string::npos) << whole;
  EXPECT_NE(whole.find("\nSampling:\n"), std::string::npos) << whole;
  EXPECT_EQ(in_pipe({"help", "run"}), whole);
  // A terminal has 80 columns.
  for (const std::string& page : {none, brief, whole}) {
    size_t begin = 0;
    for (size_t end; (end = page.find('\n', begin)) != std::string::npos; begin = end + 1) {
      EXPECT_LE(end - begin, 80u) << page.substr(begin, end - begin);
    }
  }
}

TEST(Help, TheVersionSaysWhatWasBuilt) {
  const std::string text = in_pipe({"--version"});
  EXPECT_EQ(text.find("midge "), 0u) << text;
  for (const char* part : {"\ncompiler ", "\nlevels   generic", "; here: "}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

// What bash offers for the words before the cursor, the last of which is being typed.
std::string completed(const std::vector<std::string>& words) {
  const TempDir dir;
  dir.write("midge.bash", in_pipe({"generate", "bash"}));
  std::string script =
      "cd '" + dir.path() + "'; source " + dir.file("midge.bash") + "; COMP_WORDS=(";
  for (const std::string& word : words) script += "'" + word + "' ";
  script +=
      "); COMP_CWORD=" + std::to_string(words.size() - 1) + "; _midge; echo \"${COMPREPLY[@]}\"";
  dir.write("complete.bash", script);
  return test::shell_output("bash " + dir.file("complete.bash"));
}

TEST(Help, ShellsCompleteWhatItLists) {
  EXPECT_EQ(completed({"midge", "ru"}), "run\n");
  EXPECT_EQ(completed({"midge", "run", "--mod"}), "--model\n");
  EXPECT_EQ(completed({"midge", "run", "--kv", ""}), "f16 f32 int8 k8v4\n");
  EXPECT_EQ(completed({"midge", "generate", "z"}), "zsh\n");
  EXPECT_EQ(completed({"midge", "help", "ch"}), "chat\n");
  EXPECT_EQ(completed({"midge", "run", "tiny-m"}), "tiny-mimo\n");
  // Models are files.
  EXPECT_EQ(completed({"midge", "run", MIDGE_SOURCE_DIR "/READ"}), MIDGE_SOURCE_DIR "/README.md\n");
}

TEST(Help, TheManPageHasEveryOption) {
  const std::string page = in_pipe({"generate", "man"});
  EXPECT_EQ(page.find(".TH MIDGE 1 "), 0u) << page;
  const std::string help = in_pipe({"run", "--help"});
  for (size_t at = 0; (at = help.find("--", at)) != std::string::npos;) {
    const size_t end = help.find_first_of(" ,\n'", at);
    std::string name = help.substr(at, end - at);
    at = end;
    for (size_t dash = 0; (dash = name.find('-', dash)) != std::string::npos; dash += 2) {
      name.insert(dash, 1, '\\');
    }
    EXPECT_NE(page.find(name), std::string::npos) << name;
  }
  // A line that begins with a dot is a macro.
  for (size_t at = 0; (at = page.find("\n.", at)) != std::string::npos; at += 2) {
    EXPECT_TRUE(std::isupper(page[at + 2]) != 0 || page[at + 2] == 'n' || page[at + 2] == 'f')
        << page.substr(at, 40);
  }
}

TEST(Help, CommandsAndOptionsThatAreMeantAreNamed) {
  EXPECT_NE(in_pipe({"chta"}).find("did you mean chat?"), std::string::npos);
  EXPECT_NE(in_pipe({"run", "--promt", "x"}).find("did you mean --prompt?"), std::string::npos);
  EXPECT_NE(in_pipe({"run", "--temprature", "1"}).find("did you mean --temp?"), std::string::npos);
  EXPECT_EQ(in_pipe({"chat", "-p", "x"}).find("did you mean"), std::string::npos);
  EXPECT_NE(in_pipe({"help", "pakc"}).find("did you mean pack?"), std::string::npos);
}

}  // namespace
}  // namespace midge
