// What the program says about a command line that it can't take.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace midge {

/// One line, without the program's name: what is wrong, and what was probably meant.
std::string describe_parse_error(const CLI::App& app, const CLI::ParseError& error);
/// The same for a word that is no command.
std::string describe_unknown_command(const CLI::App& app, const std::string& word);

}  // namespace midge
