#include "cli/chat_options.h"

#include <cstdio>

#include "cli/terminal.h"
#include "engine/chat/chat_json.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"

namespace midge {

std::vector<CLI::Option*> add_chat_options(CLI::App& app, ChatOptions& options) {
  return {
      app.add_option("--template", options.template_name,
                     "Chat template by name, if the model's own is not recognised"),
      app.add_option("--tools", options.tools_path, "JSON file of tools that the model may call"),
      app.add_option("--think", options.think, "What happens to <think> sections of answers")
          ->check(CLI::IsMember({"show", "hide"}))
          ->capture_default_str(),
      app.add_flag("--drop-think", options.drop_think,
                   "Leave <think> sections out of the history that the model reads"),
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
                         read_small_file(options.tools_path, kChatJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(setup.tools, parse_chat_tools(shown_path(options.tools_path), text));
  return setup;
}

bool AnswerPrinter::show(std::string_view text) {
  if (hide_think_) {
    filter_.push(text, &shown_);
  } else {
    shown_ += text;
  }
  write_shown();
  return !interrupted();
}

void AnswerPrinter::finish() {
  filter_.flush(&shown_);
  write_shown();
  output_.finish();
}

void AnswerPrinter::write_shown() {
  output_.write(shown_);
  shown_.clear();
}

}  // namespace midge
