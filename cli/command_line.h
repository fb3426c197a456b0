// The command line: commands, their options, and what is wrong with what somebody typed.
//
// The one place that knows CLI11, whose headers take eight seconds to compile.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace midge {

/// What is wrong with a value, as "is 'x', expected a number"; empty: nothing.
using OptionCheck = std::function<std::string(const std::string& text)>;

/// An option while it is described.
class CommandOption {
 public:
  explicit CommandOption(CLI::Option* option) : option_(option) {}

  CommandOption* check(const OptionCheck& check);
  /// What help calls the value: "N", "FILE", "show|hide".
  CommandOption* type_name(const std::string& name);
  CommandOption* group(const std::string& name);
  CommandOption* description(const std::string& text);
  CommandOption* required();
  /// Neither may be given with the other.
  CommandOption* excludes(CommandOption* other);
  /// Not without the other.
  CommandOption* needs(CommandOption* other);
  /// Help shows the value that the variable has now.
  CommandOption* capture_default_str();
  /// Of a list: whether one option takes all words that follow.
  CommandOption* allow_extra_args(bool allow);
  /// Of a list: what separates its elements.
  CommandOption* delimiter(char character);

  /// How often it was given.
  size_t count() const;

 private:
  CLI::Option* option_;
};

/// An option as help and completions list it.
struct ListedOption {
  std::string short_name;  ///< "-n"; empty: none
  std::string long_name;   ///< "--tokens"; empty: none
  std::string positional;  ///< "MODEL"; empty: none
  std::string value;       ///< "N", "FILE", "show|hide"; empty: a flag
  std::string group;
  std::string description;  ///< with its default
  bool required = false;

  /// The names that the value is one of; empty: anything.
  std::vector<std::string> choices() const;
};

/// What a command line turned out to be.
struct ParsedCommandLine {
  enum class Kind { kCommand, kShortHelp, kLongHelp, kVersion, kError };

  Kind kind = Kind::kCommand;
  const class CommandLine* command = nullptr;  ///< of help; the program itself without one
  std::string error;                           ///< one line
};

/// The program, or one of its commands. Names of options are as CLI11 takes them:
/// "-n,--tokens,TOKENS", the last of which may stand without a dash, by its position.
class CommandLine {
 public:
  /// The program.
  CommandLine(const std::string& name, const std::string& description);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  CommandLine* add_subcommand(const std::string& name, const std::string& description);
  CommandOption* add_flag(const std::string& names, bool& value, const std::string& description);
  // The kinds of values that options have; `value` outlives the parsing.
  CommandOption* add_option(const std::string& names, std::string& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, std::optional<std::string>& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, std::vector<std::string>& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, std::vector<int32_t>& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, int32_t& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, int64_t& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, std::optional<uint64_t>& value,
                            const std::string& description);
  CommandOption* add_option(const std::string& names, float& value, const std::string& description);
  CommandOption* add_option(const std::string& names, double& value,
                            const std::string& description);
  /// One that was added, by "--name".
  CommandOption* get_option(const std::string& name);
  /// Examples for help: lines of "  midge …".
  void footer(const std::string& examples);
  /// Called when the command is the one that was given.
  void callback(const std::function<void()>& call);

  const std::string& get_name() const;
  std::string get_description() const;
  std::string get_footer() const;
  /// The commands of the program, in their order.
  const std::deque<std::unique_ptr<CommandLine>>& commands() const { return commands_; }
  /// Null if there is none of the name.
  const CommandLine* find_command(const std::string& name) const;
  std::vector<std::string> command_names() const;
  /// In the order in which they were added, help first.
  std::vector<ListedOption> options() const;
  /// "-n", "--tokens" … of all of them.
  std::vector<std::string> option_names() const;

  /// Of the program: reads the command line and calls the command's callback.
  ParsedCommandLine parse(int argc, char** argv);
  /// What is wrong with a word that is no command.
  std::string describe_unknown_command(const std::string& word) const;

 private:
  explicit CommandLine(CLI::App* app);
  CommandOption* keep(CLI::Option* option);
  CommandOption* keep_whole_number(CLI::Option* option);

  std::unique_ptr<CLI::App> program_;  // null of a command
  CLI::App* app_;
  std::deque<std::unique_ptr<CommandLine>> commands_;
  std::deque<CommandOption> options_;  // pointers to them are handed out
};

}  // namespace midge
