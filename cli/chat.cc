// midge chat: a conversation over several turns.
#include <algorithm>
#include <cstdio>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/line_editor.h"
#include "cli/terminal.h"
#include "engine/chat/think.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  ChatOptions chat;
  std::optional<std::string> system;
};

/// The conversation and what of it the session has read.
class Conversation {
 public:
  Conversation(OpenedModel& loaded, ChatSetup setup, GenerateOptions options,
               std::optional<std::string> system)
      : loaded_(loaded),
        setup_(std::move(setup)),
        options_(std::move(options)),
        system_(std::move(system)) {}

  void clear() {
    // Truncation to nothing cannot fail.
    (void)loaded_.session->truncate(0);
    unread_.clear();
    started_ = false;
  }

  // Sends a message and shows the answer.
  Result<GenerateResult> send(const ChatMessage& message,
                              const std::function<bool(std::string_view)>& show) {
    std::vector<int32_t> prompt = unread_;
    MIDGE_RETURN_IF_ERROR(append_turn(message, &prompt));
    const int64_t answer_begin = loaded_.session->length() + static_cast<int64_t>(prompt.size());
    Result<GenerateResult> result =
        generate(*loaded_.session, loaded_.model->tokenizer(), loaded_.model->allowed_tokens(),
                 prompt, options_, show);
    if (!result.ok()) return result;
    started_ = true;
    unread_.clear();
    // The last token was never read by the model. An end token is written by the next turn's
    // rendering; anything else belongs to the answer.
    const int32_t last = result->tokens.back().token;
    if (result->reason != FinishReason::kStopToken) unread_.push_back(last);
    if (setup_.drop_think) MIDGE_RETURN_IF_ERROR(forget_thought(*result, answer_begin));
    return result;
  }

 private:
  // Takes an answer that has a thought back, to be read again without it.
  Status forget_thought(const GenerateResult& result, int64_t answer_begin) {
    std::vector<int32_t> answer;
    for (const GeneratedToken& token : result.tokens) answer.push_back(token.token);
    if (result.reason == FinishReason::kStopToken) answer.pop_back();
    MIDGE_ASSIGN_OR_RETURN(std::vector<int32_t> kept,
                           drop_think(loaded_.model->tokenizer(), answer));
    if (kept == answer) return Status();
    unread_ = std::move(kept);
    return loaded_.session->truncate(answer_begin);
  }

  Status append_turn(const ChatMessage& message, std::vector<int32_t>* prompt) const {
    std::vector<ChatMessage> messages;
    if (!started_ && system_.has_value()) messages.push_back({ChatRole::kSystem, *system_});
    messages.push_back(message);
    std::vector<PromptPart> parts;
    if (started_) {
      MIDGE_ASSIGN_OR_RETURN(parts,
                             render_chat_continuation(setup_.chat, TurnEnd::kMissing, messages));
    } else {
      MIDGE_ASSIGN_OR_RETURN(
          parts, render_chat(setup_.chat, messages, GenerationPrompt::kAssistant, setup_.tools));
    }
    return loaded_.model->tokenizer().encode_parts(parts, prompt, context_tokens(loaded_));
  }

  OpenedModel& loaded_;
  ChatSetup setup_;
  GenerateOptions options_;
  std::optional<std::string> system_;
  std::vector<int32_t> unread_;  // tokens of the last answer that the session has not read
  bool started_ = false;
};

// A line of the kind "/word" that is no command: more likely a mistake than a message.
bool is_unknown_command(const std::string& line) {
  return line.size() > 1 && line[0] == '/' &&
         std::all_of(line.begin() + 1, line.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

// "/tool TEXT" is the result of a tool; any other line is the user's.
ChatMessage message_of(const std::string& line) {
  constexpr std::string_view kToolCommand = "/tool ";
  if (line.starts_with(kToolCommand)) return {ChatRole::kTool, line.substr(kToolCommand.size())};
  return {ChatRole::kUser, line};
}

Status chat_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(options.run));
  MIDGE_ASSIGN_OR_RETURN(ChatSetup setup, set_up_chat(options.chat, loaded.model->tokenizer()));
  if (options.system.has_value() && setup.chat.system_rule == SystemRule::kReplaced) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s: the chat template takes no system message, found --system",
                       shown_path(loaded.model->path()).c_str());
  }
  MIDGE_ASSIGN_OR_RETURN(GenerateOptions generate_options,
                         make_generate_options(options.sample, loaded));
  generate_options.special_text = true;
  const bool hide_think = setup.hide_think;
  const char* const commands =
      setup.chat.has_tools
          ? "/clear starts anew; /tool TEXT gives a tool's result; /exit or Ctrl-D ends"
          : "/clear starts anew; /exit or Ctrl-D ends";
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  Conversation conversation(loaded, std::move(setup), std::move(generate_options), options.system);
  if (stdin_is_terminal()) {
    print(stderr, "%s. Ctrl-C stops an answer; %s.\n", shown_path(loaded.model->path()).c_str(),
          commands);
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
    if (stdin_is_terminal() && is_unknown_command(line)) {
      print(stderr, "%s is no command: %s.\n", visible_text(line, Layout::kOneLine).c_str(),
            commands);
      continue;
    }
    AnswerPrinter printer(hide_think);
    const Result<GenerateResult> result = conversation.send(
        message_of(line), [&](std::string_view text) { return printer.show(text); });
    printer.finish();
    interrupted() = false;
    print(stdout, "\n");
    std::fflush(stdout);
    if (result.ok()) {
      report_speed(*result);
    } else if (result.status().code() == StatusCode::kContextFull) {
      print(stderr, "midge: %s; /clear starts anew, --context makes it larger\n",
            result.status().message().c_str());
    } else if (result.status().code() == StatusCode::kUnsupported && stdin_is_terminal()) {
      // A tool's result, for a template without. Nothing was read. A script gets the exit code.
      print(stderr, "midge: %s\n", result.status().message().c_str());
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
  add_chat_options(*command, options->chat);
  command->add_option("--system", options->system, "System message");
  command->callback([=] { *run = [=] { return chat_command(*options); }; });
}

}  // namespace midge
