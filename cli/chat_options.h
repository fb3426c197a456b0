// Options of the subcommands that answer conversations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/terminal.h"
#include "engine/chat/chat.h"
#include "engine/chat/think.h"

namespace midge {

struct ChatOptions {
  std::string template_name;
  std::string tools_path;
  std::string think = "show";
  bool drop_think = false;
};

/// Adds --template, --tools, --think and --drop-think, and returns them.
std::vector<CommandOption*> add_chat_options(CommandLine& app, ChatOptions& options);

/// What the options and the model say about conversations.
struct ChatSetup {
  ChatTemplate chat;
  std::vector<ChatTool> tools;
  bool hide_think = false;
  bool drop_think = false;
};

/// The template by its name or from the model's files, and the tools from their file. Errors: those
/// of chat_template_from_name, detect_chat_template, read_small_file and parse_chat_tools;
/// unsupported (tools for a template without).
Result<ChatSetup> set_up_chat(const ChatOptions& options, const Tokenizer& tokenizer);

/// Errors: invalid_argument (the template writes no system message; `path` stands in it).
Status check_takes_system(const ChatTemplate& chat, const std::string& path);

/// Prints an answer on stdout as it is made.
class AnswerPrinter {
 public:
  /// <think> sections are left out, or dimmed where there are colours.
  explicit AnswerPrinter(bool hide_think) : hide_think_(hide_think) {}

  /// False if the person at the terminal asks to stop.
  bool show(std::string_view text);
  /// Prints what was held back.
  void finish();

 private:
  void write_shown();

  bool hide_think_;
  TextOutput output_;
  ThinkFilter filter_;
  std::string shown_;
  std::string thought_;
};

}  // namespace midge
