// Help, the man page and the completions of shells, all made from the options themselves.
#pragma once

#include <string>

#include "cli/command_line.h"

namespace midge {

/// Options of these groups are left out of short help.
inline constexpr const char* kSamplingGroup = "Sampling";
inline constexpr const char* kDraftsGroup = "Drafts";
inline constexpr const char* kMemoryGroup = "Memory";
inline constexpr const char* kWeightsGroup = "Weights";
inline constexpr const char* kCoresGroup = "Cores";
inline constexpr const char* kKernelsGroup = "Kernels";
/// Those of all others are shown in both.
inline constexpr const char* kChatGroup = "Conversation";
inline constexpr const char* kHelpGroup = "Help";  ///< as command_line.cc puts it

/// The lines "name  what it does" of a command's footer (CommandLine::footer) are examples.
///
/// What `midge` alone prints: the commands, a line each.
std::string overview(const CommandLine& app);
/// The options that most need, one line each (-h).
std::string short_help(const CommandLine& command);
/// Every option, in groups (--help, midge help COMMAND).
std::string long_help(const CommandLine& command);
/// The man page of the program, in the man macros.
std::string man_page(const CommandLine& app, const std::string& version);

/// Completion scripts.
std::string bash_completion(const CommandLine& app);
std::string zsh_completion(const CommandLine& app);
std::string fish_completion(const CommandLine& app);

}  // namespace midge
