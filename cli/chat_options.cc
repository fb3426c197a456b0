#include "cli/chat_options.h"

#include <cstdio>

#include "cli/help.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "engine/chat/chat_json.h"
#include "engine/core/visible.h"

namespace midge {

std::vector<CommandOption*> add_chat_options(CommandLine& app, ChatOptions& options) {
  return {
      takes_one_of(app.add_option("--template", options.template_name,
                                  "Chat template, if the model's own is not recognised"),
                   {"phi3", "phi4", "phi4-mini", "phi4-mini-reasoning", "mimo", "smollm2"})
          ->group(kChatGroup),
      app.add_option("--tools", options.tools_path, "JSON file of tools that the model may call")
          ->type_name("FILE")
          ->group(kChatGroup),
      takes_one_of(
          app.add_option("--think", options.think, "What happens to <think> sections of answers"),
          {"show", "hide"})
          ->group(kChatGroup)
          ->capture_default_str(),
      app.add_flag("--drop-think", options.drop_think,
                   "Leave <think> sections out of the history that the model reads")
          ->group(kChatGroup),
  };
}

Result<ChatSetup> set_up_chat(const ChatOptions& options, const Tokenizer& tokenizer) {
  ChatSetup setup;
  if (options.template_name.empty()) {
    MIDGE_ASSIGN_OR_RETURN(setup.chat, detect_chat_template(tokenizer.chat_template()));
  } else {
    MIDGE_ASSIGN_OR_RETURN(setup.chat, chat_template_from_name(options.template_name));
  }
  setup.hide_think = options.think == "hide";
  setup.drop_think = options.drop_think;
  if (options.tools_path.empty()) return setup;
  if (!setup.chat.has_tools) {
    return make_status(StatusCode::kUnsupported, "the chat template has no tools, found --tools %s",
                       printable(options.tools_path).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_text_or_stdin(options.tools_path, kChatJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(setup.tools, parse_chat_tools(shown_path(options.tools_path), text));
  return setup;
}

Status check_takes_system(const ChatTemplate& chat, const std::string& path) {
  if (chat.system_rule != SystemRule::kReplaced) return Status();
  return make_status(StatusCode::kInvalidArgument,
                     "%s: the chat template takes no system message, found --system",
                     shown_path(path).c_str());
}

bool AnswerPrinter::show(std::string_view text) {
  filter_.push(text, &shown_, &thought_);
  write_shown();
  return !interrupted();
}

void AnswerPrinter::finish() {
  filter_.flush(&shown_, &thought_);
  write_shown();
  output_.finish();
}

void AnswerPrinter::write_shown() {
  if (!hide_think_) output_.write_dim(thought_);
  thought_.clear();
  output_.write(shown_);
  shown_.clear();
}

}  // namespace midge
