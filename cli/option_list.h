// The options of a command as help and completions list them.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace midge {

struct ListedOption {
  std::string short_name;  ///< "-n"; empty: none
  std::string long_name;   ///< "--tokens"; empty: none
  std::string positional;  ///< "MODEL"; empty: none
  std::string value;       ///< "N", "FILE", "show|hide"; empty: a flag
  std::string group;
  std::string description;  ///< with its default
  bool required = false;

  bool is_advanced() const;
  /// The names that the value is one of; empty: anything.
  std::vector<std::string> choices() const;
};

/// Those of a command, in the order in which they were added, help included.
std::vector<ListedOption> options_of(const CLI::App& command);

/// The commands of the program.
std::vector<const CLI::App*> commands_of(const CLI::App& app);
/// The one of a name; null if there is none.
const CLI::App* find_command(const CLI::App& app, const std::string& name);
std::vector<std::string> command_names(const CLI::App& app);
/// Every name that an option of the command has: "-n", "--tokens".
std::vector<std::string> option_names(const CLI::App& command);

}  // namespace midge
