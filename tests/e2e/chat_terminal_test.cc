// midge chat as a person uses it: on a terminal, with keys, pastes and commands.
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "engine/core/status.h"
#include "tests/e2e/program.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

namespace fs = std::filesystem;
using test::in_pipe;
using test::Program;
using test::TempDir;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A chat in a pipe, ended by its input.
std::string chat(const std::vector<std::string>& options, std::string_view input) {
  std::vector<std::string> words = {"chat", "tiny-phi", "-n", "24"};
  words.insert(words.end(), options.begin(), options.end());
  return in_pipe(words, input);
}

// What a conversation became, by what /save writes of it.
std::string saved(const std::string& input) {
  const TempDir dir;
  const std::string path = dir.file("talk.json");
  const std::string shown = chat({}, input + "/save " + path + "\n");
  EXPECT_TRUE(fs::exists(path)) << shown;
  return read_file(path);
}

TEST(ChatProgram, MessagesMayHaveSeveralLines) {
  EXPECT_NE(saved("one \\\ntwo\n").find("\"content\":\"one \\ntwo\""), std::string::npos);
  EXPECT_NE(saved("\"\"\"\none\n\n  two\n\"\"\"\n").find("\"content\":\"one\\n\\n  two\""),
            std::string::npos);
  EXPECT_NE(saved("\"\"\"one\ntwo\"\"\"\n").find("\"content\":\"one\\ntwo\""), std::string::npos);
  // A path is no command.
  EXPECT_NE(saved("/usr/bin is\n").find("\"content\":\"/usr/bin is\""), std::string::npos);
}

TEST(ChatProgram, LinesMayEndAsInWindows) {
  EXPECT_NE(saved("What is 7 + 5?\r\n").find("\"content\":\"What is 7 + 5?\""), std::string::npos);
  EXPECT_EQ(saved("What is 7 + 5?\r\n/undo\r\n"), "[]\n");
}

TEST(ChatProgram, TheLastExchangeIsTakenBack) {
  EXPECT_EQ(saved("What is 7 + 5?\n/undo\n"), "[]\n");
  const std::string once = saved("What is 7 + 5?\n");
  EXPECT_EQ(once,
            "[{\"role\":\"user\",\"content\":\"What is 7 + 5?\"},{\"role\":\"assistant\","
            "\"content\":\"7 + 5 = 12.\"}]\n");
  EXPECT_EQ(saved("What is 7 + 5?\nWhat is 3 + 4?\n/undo\n"), once);
  EXPECT_EQ(saved("What is 7 + 5?\n/retry\n"), once);
  // What follows is as if nothing had been said in between.
  EXPECT_EQ(saved("What is 7 + 5?\nOne day\n/undo\nWhat is 3 + 4?\n"),
            saved("What is 7 + 5?\nWhat is 3 + 4?\n"));
}

TEST(ChatProgram, ConversationsAreSavedAndGoOn) {
  const TempDir dir;
  const std::string first = dir.file("first.json");
  const std::string whole = dir.file("whole.json");
  chat({"--save", first, "--system", "Be kind."}, "What is 7 + 5?\n");
  chat({"--load", first, "--save", whole}, "What is 3 + 4?\n");
  const std::string resumed = read_file(whole);
  EXPECT_EQ(resumed.find("[{\"role\":\"system\",\"content\":\"Be kind.\"}"), 0u) << resumed;
  // By /load, and in one go.
  const std::string loaded = dir.file("loaded.json");
  chat({}, "/load " + first + "\nWhat is 3 + 4?\n/save " + loaded + "\n");
  EXPECT_EQ(read_file(loaded), resumed);
  const std::string at_once = dir.file("at_once.json");
  chat({"--system", "Be kind.", "--save", at_once}, "What is 7 + 5?\nWhat is 3 + 4?\n");
  EXPECT_EQ(read_file(at_once), resumed);
  // The system message of the command line wins.
  const std::string other = dir.file("other.json");
  chat({"--load", first, "--system", "Be brief.", "--save", other}, "");
  EXPECT_EQ(read_file(other).find("[{\"role\":\"system\",\"content\":\"Be brief.\"}"), 0u)
      << read_file(other);
  // midge run reads it, too.
  const std::string text = in_pipe({"run", "tiny-phi", "--messages", first, "-n", "2", "-q"});
  EXPECT_EQ(text.find("error"), std::string::npos) << text;
}

TEST(ChatProgram, CommandsSteerIt) {
  const std::string help = chat({}, "/help\n");
  for (const char* name : {"/help", "/system", "/clear", "/undo", "/retry", "/save", "/load",
                           "/stats", "/set", "/drop", "/exit"}) {
    EXPECT_NE(help.find(name), std::string::npos) << help;
  }
  EXPECT_EQ(saved("What is 7 + 5?\n/clear\n"), "[]\n");
  EXPECT_EQ(saved("/system Be kind.\n"), "[{\"role\":\"system\",\"content\":\"Be kind.\"}]\n");
  EXPECT_EQ(saved("/system Be kind.\n/system \"\"\n"), "[]\n");
  EXPECT_EQ(chat({}, "/quit\nOne day\n"), "");
  EXPECT_EQ(saved("What is 7 + 5?\nWhat is 3 + 4?\n/drop 1\n").find("7 + 5"), std::string::npos);
  const std::string stats = chat({}, "What is 7 + 5?\n/stats\n");
  EXPECT_NE(stats.find("tok/s ("), std::string::npos) << stats;
  EXPECT_NE(stats.find("context 19 of 2048 tokens, 1 exchange\n"), std::string::npos) << stats;
  // Without it, the answer alone.
  EXPECT_EQ(chat({}, "What is 7 + 5?\n"), "7 + 5 = 12.\n");
  const std::string cut = chat({}, "/set tokens 3\nOne day\n");
  EXPECT_NE(cut.find("stopped at 3 tokens; /set tokens N or -n allows more"), std::string::npos)
      << cut;
  const std::string set = chat({}, "/set temp 0.5\n/set tokens=3\n/set\nWhat is 7 + 5?\n");
  EXPECT_NE(set.find("temp                 0.5"), std::string::npos) << set;
  EXPECT_NE(set.find("tokens               3"), std::string::npos) << set;
}

TEST(ChatProgram, SavesWhateverEndsIt) {
  const TempDir dir;
  const std::string path = dir.file("talk.json");
  chat({"--save", path}, "What is 7 + 5?\n/foo\n");
  EXPECT_NE(read_file(path).find("7 + 5 = 12."), std::string::npos);
}

TEST(ChatProgram, MistakesEndAScript) {
  for (const auto& [line, message] :
       {std::pair("/foo", "no command '/foo'; /help lists them"),
        std::pair("\"\"\"\nnever closed", "the input ends in a message that \"\"\" does not close"),
        std::pair("/undo now", "/undo takes nothing, found 'now'"),
        std::pair("/hlep", "no command '/hlep'; did you mean /help?"),
        std::pair("/set temp hot", "temp is 'hot', expected a number of at least 0"),
        std::pair("/set temp 1e39", "temp is '1e39', expected a number of at least 0"),
        std::pair("/set heat 1", "no setting 'heat', expected temp, "),
        std::pair("/save", "/save needs FILE"), std::pair("/clear all", "/clear takes nothing"),
        std::pair("/undo", "nothing was said yet"),
        std::pair("/load no/such.json", "no/such.json: cannot open")}) {
    Program program({"chat", "tiny-phi", "-n", "4"});
    program.write(std::string(line) + "\n");
    EXPECT_NE(program.exit_code(), 0) << line;
    EXPECT_NE(program.text().find(std::string("midge: error: ") + message), std::string::npos)
        << program.text();
  }
}

// What a terminal gets of a dimmed text, or of one where the environment says otherwise.
std::string dimmed(const char* variable, const char* value) {
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  EXPECT_GE(pid, 0);
  if (pid == 0) {
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    ::setenv(variable, value, 1);
    TextOutput output;
    output.write_dim("<think>\x1B[31m");
    output.write("said");
    output.finish();
    ::_exit(0);
  }
  std::string text;
  char buffer[256];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(terminal);
  ::waitpid(pid, nullptr, 0);
  return text;
}

TEST(Colors, ThoughtsAreDimmedWhereThereAreAny) {
  EXPECT_EQ(dimmed("UNUSED", ""), "\033[2m<think>\\x1b[31m\033[22msaid");
  EXPECT_EQ(dimmed("NO_COLOR", "1"), "<think>\\x1b[31msaid");
  EXPECT_EQ(dimmed("NO_COLOR", ""), "\033[2m<think>\\x1b[31m\033[22msaid");
  EXPECT_EQ(dimmed("TERM", "dumb"), "<think>\\x1b[31msaid");
}

#ifdef MIDGE_HAS_LIBEDIT

constexpr const char* kPrompt = "> ";
constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";
constexpr const char* kCtrlZ = "\x1A";
constexpr const char* kUp = "\x1B[A";

// A chat on a terminal of its own, with a folder for its history.
class ChatTerminal : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("LC_ALL", "C.UTF-8", 1);
    ::setenv("TERM", "xterm", 1);
    ::setenv("XDG_STATE_HOME", state_.path().c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("LC_ALL");
    ::unsetenv("XDG_STATE_HOME");
  }

  static std::vector<std::string> words(const std::vector<std::string>& options) {
    std::vector<std::string> all = {"chat", "tiny-phi", "-n", "24", "--verbose"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  // Ends it, and returns what was said.
  static std::string end(Program& program) {
    const TempDir dir;
    const std::string path = dir.file("talk.json");
    EXPECT_TRUE(program.wait_for_editor());
    program.write("/save " + path + "\r");
    EXPECT_TRUE(program.read_until("talk.json: ")) << program.text();
    EXPECT_TRUE(program.wait_for_editor());
    program.write("/exit\r");
    EXPECT_EQ(program.exit_code(), 0) << program.text();
    return read_file(path);
  }

  TempDir state_;
};

TEST_F(ChatTerminal, APasteIsOneMessage) {
  Program program(words({}), Program::Output::kSession);
  ASSERT_TRUE(program.wait_for_editor());
  program.write("\x1B[200~one\rtwo\tthree \u21b5\x1B[201~!\r");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  const std::string talk = end(program);
  EXPECT_NE(talk.find("\"content\":\"one\\ntwo\\u0009three \u21b5!\""), std::string::npos) << talk;
}

TEST_F(ChatTerminal, HistoryOutlivesTheProgram) {
  {
    Program program(words({}), Program::Output::kSession);
    ASSERT_TRUE(program.wait_for_editor());
    program.write("What is 7 + 5?\r");
    ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
    ASSERT_TRUE(program.wait_for_editor());
    program.write(kCtrlD);
    EXPECT_EQ(program.exit_code(), 0) << program.text();
  }
  const std::string path = state_.path() + "/midge/history";
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  {
    Program program(words({}), Program::Output::kSession);
    ASSERT_TRUE(program.wait_for_editor());
    program.write(std::string(kUp) + "\r");
    ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
    EXPECT_NE(end(program).find("\"content\":\"What is 7 + 5?\""), std::string::npos);
  }
  fs::remove(path);
  Program program(words({"--no-history"}), Program::Output::kSession);
  ASSERT_TRUE(program.wait_for_editor());
  end(program);
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(ChatTerminal, BlocksComeBackWhole) {
  Program program(words({}), Program::Output::kSession);
  for (const char* line : {"\"\"\"one\r", "two\"\"\"\r"}) {
    ASSERT_TRUE(program.wait_for_editor());
    program.write(line);
    ASSERT_TRUE(program.read_until(line[0] == 't' ? "tok/s (" : ". ")) << program.text();
  }
  ASSERT_TRUE(program.wait_for_editor());
  program.write(std::string(kUp) + "!\r");
  ASSERT_TRUE(program.read_until("tok/s (", 2)) << program.text();
  EXPECT_NE(end(program).find("\"content\":\"one\\ntwo!\""), std::string::npos);
}

TEST_F(ChatTerminal, CtrlCStopsAnAnswerOrALine) {
  // An answer without an end: no token but that of a letter.
  std::string letter = in_pipe({"tokenize", "tiny-phi", "g", "--ids-only"});
  letter.pop_back();
  Program program({"chat", "tiny-phi", "-n", "1000000", "--logit-bias", letter + "=1000000"},
                  Program::Output::kSession);
  ASSERT_TRUE(program.wait_for_editor());
  program.write("half a line");
  ASSERT_TRUE(program.read_until("half a line"));
  program.write(kCtrlC);
  ASSERT_TRUE(program.read_until(kPrompt, 2)) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("Hello\r");
  ASSERT_TRUE(program.read_until("gggg")) << program.text();
  program.write(kCtrlC);
  ASSERT_TRUE(program.read_until(kPrompt, 3)) << program.text().substr(0, 2000);
  ASSERT_TRUE(program.wait_for_editor());
  program.write(kCtrlD);
  EXPECT_EQ(program.exit_code(), 0);
}

TEST_F(ChatTerminal, CtrlZKeepsTheLine) {
  Program program(words({}), Program::Output::kJob);
  // What is typed before the editor reads would be flushed by the key.
  ASSERT_TRUE(program.wait_for_editor());
  program.write("What is 7 + ");
  ASSERT_TRUE(program.read_until("What is 7 + ")) << program.text();
  program.write(kCtrlZ);
  ASSERT_TRUE(program.read_until("[stopped]")) << program.text();
  // The line is drawn again when it goes on.
  ASSERT_TRUE(program.read_until("What is 7 + ", 2)) << program.text();
  program.write("5?\r");
  ASSERT_TRUE(program.read_until("7 + 5 = 12.")) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write(kCtrlD);
  EXPECT_EQ(program.exit_code(), 0) << program.text();
}

TEST_F(ChatTerminal, LinesOutliveAResize) {
  Program program(words({}), Program::Output::kSession);
  ASSERT_TRUE(program.wait_for_editor());
  program.write("What is 7 ");
  ASSERT_TRUE(program.read_until("What is 7 ")) << program.text();
  for (const int columns : {20, 120}) {
    program.resize(columns, 24);
    ::usleep(50'000);
  }
  program.write("+ 5?\r");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  EXPECT_NE(end(program).find("\"content\":\"What is 7 + 5?\""), std::string::npos);
}

TEST_F(ChatTerminal, MistakesDoNotEndIt) {
  Program program(words({}), Program::Output::kSession);
  int errors = 0;
  for (const char* line : {"/foo", "/set temp hot", "/save /no/such/folder/x", "/undo"}) {
    ASSERT_TRUE(program.wait_for_editor());
    program.write(std::string(line) + "\r");
    ASSERT_TRUE(program.read_until("midge: error: ", ++errors)) << program.text();
  }
  EXPECT_EQ(end(program), "[]\n");
}

TEST_F(ChatTerminal, AFullContextOffersWhatToDrop) {
  Program program(words({"-c", "64"}), Program::Output::kSession);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(program.wait_for_editor());
    program.write("What is 7 + 5?\r");
    ASSERT_TRUE(program.read_until("tok/s (", i + 1)) << program.text();
  }
  ASSERT_TRUE(program.wait_for_editor());
  program.write("What is 3 + 4? Tell me more about it, please, and about this number.\r");
  ASSERT_TRUE(program.read_until("Forget the oldest ")) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("what?\r");  // neither yes nor no
  ASSERT_TRUE(program.read_until("Forget the oldest ", 2)) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("n\r");
  ASSERT_TRUE(program.read_until("not sent; ")) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write(std::string(kUp) + "\r");
  ASSERT_TRUE(program.read_until("Forget the oldest ", 3)) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("y\r");
  ASSERT_TRUE(program.read_until("tok/s (", 4)) << program.text();
  const std::string talk = end(program);
  EXPECT_NE(talk.find("What is 3 + 4?"), std::string::npos) << talk;
}

TEST_F(ChatTerminal, TheOnlyExchangeCanBeDroppedToo) {
  Program program(words({"-c", "42"}), Program::Output::kSession);
  ASSERT_TRUE(program.wait_for_editor());
  program.write("Tell me a story.\r");
  ASSERT_TRUE(program.read_until("tok/s (")) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("What is 7 + 5?\r");
  ASSERT_TRUE(program.read_until("Forget the oldest 1 of 1")) << program.text();
  ASSERT_TRUE(program.wait_for_editor());
  program.write("y\r");
  ASSERT_TRUE(program.read_until("tok/s (", 2)) << program.text();
  const std::string talk = end(program);
  EXPECT_EQ(talk.find("Tell me a story."), std::string::npos) << talk;
  EXPECT_NE(talk.find("What is 7 + 5?"), std::string::npos) << talk;
}

#endif  // MIDGE_HAS_LIBEDIT

}  // namespace
}  // namespace midge
