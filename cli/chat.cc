// midge chat: a conversation over several turns.
#include <cstdio>

#include "cli/common.h"
#include "cli/line_editor.h"
#include "cli/terminal.h"
#include "engine/tokenizer/chat.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  std::string template_name;
  std::optional<std::string> system;
};

/// The conversation and what of it the session has read.
class Conversation {
 public:
  Conversation(LoadedModel& loaded, const ChatTemplate& chat, GenerateOptions options,
               std::optional<std::string> system)
      : loaded_(loaded), chat_(chat), options_(std::move(options)), system_(std::move(system)) {}

  void clear() {
    // Truncation to nothing cannot fail.
    (void)loaded_.session->truncate(0);
    unread_.clear();
    started_ = false;
  }

  // Sends a message and shows the answer.
  Result<GenerateResult> send(const std::string& message,
                              const std::function<bool(std::string_view)>& show) {
    std::vector<int32_t> prompt = unread_;
    MIDGE_RETURN_IF_ERROR(append_turn(message, &prompt));
    Result<GenerateResult> result =
        generate(*loaded_.session, *loaded_.tokenizer, prompt, options_, show);
    if (!result.ok()) return result;
    started_ = true;
    unread_.clear();
    // The last token was never read by the model. An end token is written by the next turn's
    // rendering; anything else belongs to the answer.
    const int32_t last = result->tokens.back().token;
    if (result->reason != FinishReason::kStopToken) unread_.push_back(last);
    return result;
  }

 private:
  Status append_turn(const std::string& message, std::vector<int32_t>* prompt) const {
    std::vector<ChatMessage> messages;
    if (!started_ && system_.has_value()) messages.push_back({ChatRole::kSystem, *system_});
    messages.push_back({ChatRole::kUser, message});
    std::vector<PromptPart> parts;
    if (started_) {
      MIDGE_ASSIGN_OR_RETURN(parts, render_chat_continuation(chat_, TurnEnd::kMissing, messages));
    } else {
      MIDGE_ASSIGN_OR_RETURN(parts, render_chat(chat_, messages, GenerationPrompt::kAssistant));
    }
    return loaded_.tokenizer->encode_parts(parts, prompt);
  }

  LoadedModel& loaded_;
  ChatTemplate chat_;
  GenerateOptions options_;
  std::optional<std::string> system_;
  std::vector<int32_t> unread_;  // tokens of the last answer that the session has not read
  bool started_ = false;
};

Result<ChatTemplate> choose_template(const Options& options, const Tokenizer& tokenizer) {
  if (!options.template_name.empty()) return chat_template_from_name(options.template_name);
  return detect_chat_template(tokenizer.chat_template());
}

bool show(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  return !interrupted();
}

Status chat_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(LoadedModel loaded, load_model(options.run));
  MIDGE_ASSIGN_OR_RETURN(const ChatTemplate chat, choose_template(options, *loaded.tokenizer));
  MIDGE_ASSIGN_OR_RETURN(GenerateOptions generate_options,
                         make_generate_options(options.sample, loaded));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  Conversation conversation(loaded, chat, std::move(generate_options), options.system);
  if (stdin_is_terminal()) {
    std::fprintf(stderr, "%s. Ctrl-C stops an answer; /clear starts anew; /exit or Ctrl-D ends.\n",
                 loaded.path.c_str());
  }
  const std::unique_ptr<LineEditor> editor = LineEditor::create("> ");
  std::string line;
  for (;;) {
    const LineStatus status = editor->read(&line);
    if (status == LineStatus::kEnd || line == "/exit") return Status();
    if (status == LineStatus::kInterrupted || line.empty()) continue;
    if (line == "/clear") {
      conversation.clear();
      continue;
    }
    const Result<GenerateResult> result = conversation.send(line, show);
    interrupted() = false;
    std::fputc('\n', stdout);
    std::fflush(stdout);
    if (result.ok()) {
      report_speed(*result);
    } else if (result.status().code() == StatusCode::kContextFull) {
      std::fprintf(stderr, "midge: %s; /clear starts anew\n", result.status().message().c_str());
    } else if (result.status().code() != StatusCode::kCancelled) {
      return result.status();
    }
  }
}

}  // namespace

void add_chat_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model");
  add_run_options(*command, options->run);
  add_sample_options(*command, options->sample);
  command->add_option("--template", options->template_name,
                      "Chat template by name, if the model's own is not recognised");
  command->add_option("--system", options->system, "System message");
  command->callback([=] { *run = [=] { return chat_command(*options); }; });
}

}  // namespace midge
