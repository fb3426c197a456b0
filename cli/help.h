// Help, the man page and the completions of shells, all made from the options themselves.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace midge {

/// Options of these groups are left out of short help.
inline constexpr const char* kSamplingGroup = "Sampling";
inline constexpr const char* kMemoryGroup = "Memory";
inline constexpr const char* kWeightsGroup = "Weights";
inline constexpr const char* kKernelsGroup = "Kernels";
/// Those of all others are shown in both.
inline constexpr const char* kChatGroup = "Conversation";

/// The lines "name  what it does" of a command's footer (CLI::App::footer) are examples.
///
/// What `midge` alone prints: the commands, a line each.
std::string overview(const CLI::App& app);
/// The options that most need, one line each (-h).
std::string short_help(const CLI::App& command);
/// Every option, in groups (--help, midge help COMMAND).
std::string long_help(const CLI::App& command);
/// The man page of the program, in the man macros.
std::string man_page(const CLI::App& app, const std::string& version);

/// Completion scripts.
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace midge
