// midge chat: a conversation over several turns, and the commands that steer it.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <utility>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/conversation.h"
#include "cli/core_report.h"
#include "cli/draft_options.h"
#include "cli/help.h"
#include "cli/line_editor.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "engine/chat/chat_json.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/core/whole_file.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  ChatOptions chat;
  std::optional<std::string> system;
  std::string load_path;
  std::string save_path;
  bool no_history = false;
  bool verbose = false;
};

/// An option that /set changes for the answers to come.
struct Setting {
  const char* name;
  OptionCheck check;
  std::function<void(GenerateOptions&, const std::string&)> set;
  std::function<std::string(const GenerateOptions&)> show;
};

Setting float_setting(const char* name, float SamplerOptions::* field, OptionCheck check) {
  return {name, std::move(check),
          [field](GenerateOptions& options, const std::string& text) {
            options.sampler.*field = std::strtof(text.c_str(), nullptr);
          },
          [field](const GenerateOptions& options) {
            return format_string("%g", static_cast<double>(options.sampler.*field));
          }};
}

std::vector<Setting> settings() {
  return {
      float_setting("temp", &SamplerOptions::temperature, number(0)),
      float_setting("top-p", &SamplerOptions::top_p, number_above(0, 1)),
      float_setting("min-p", &SamplerOptions::min_p, number(0, 1)),
      float_setting("repetition-penalty", &SamplerOptions::repetition_penalty, number_above(0)),
      float_setting("presence-penalty", &SamplerOptions::presence_penalty, number()),
      float_setting("frequency-penalty", &SamplerOptions::frequency_penalty, number()),
      {"top-k", whole_number(0, INT32_MAX),
       [](GenerateOptions& options, const std::string& text) {
         options.sampler.top_k = std::stoi(text);
       },
       [](const GenerateOptions& options) { return std::to_string(options.sampler.top_k); }},
      {"seed", whole_number(0),
       [](GenerateOptions& options, const std::string& text) {
         options.sampler.seed = std::stoull(text);
       },
       [](const GenerateOptions& options) { return std::to_string(options.sampler.seed); }},
      {"tokens", whole_number(1),
       [](GenerateOptions& options, const std::string& text) {
         options.tokens_max = std::stoll(text);
       },
       [](const GenerateOptions& options) { return std::to_string(options.tokens_max); }},
  };
}

Result<std::vector<ChatMessage>> read_messages(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text, read_text_or_stdin(path, kChatJsonBytesMax));
  return parse_chat_messages(shown_path(path), text);
}

/// Reads messages and commands until there are no more.
class Chat {
 public:
  /// sample: with the seed, if one was given or drawn.
  Chat(const Options& options, SampleOptions sample, OpenedModel& loaded,
       Conversation& conversation, bool hide_think)
      : options_(options),
        sample_(std::move(sample)),
        loaded_(loaded),
        conversation_(conversation),
        hide_think_(hide_think),
        editor_(LineEditor::create(options.no_history ? std::string() : history_path())) {}

  /// Saves the conversation at the end, if the options ask for that, whatever ended it.
  Status run();

 private:
  using Handler = Status (Chat::*)(const std::string& argument);
  struct Command {
    const char* name;
    const char* argument;
    const char* help;
    Handler handler;
  };
  static std::vector<Command> commands();

  Status talk();
  void draw_seed_if_needed();
  Status save_conversation(const std::string& path) const {
    return write_users_file(path, conversation_.to_json() + "\n");
  }
  // Reads a message of one or more lines.
  LineStatus read_message(std::string* message);
  LineStatus read_block(std::string* message);
  Status handle(const std::string& message);
  Status handle_command(const std::string& line);
  Status answer(const ChatMessage& message);
  Status offer_room(const ChatMessage& message, const Status& status);
  bool asks_yes(const std::string& question);

  Status help(const std::string&);
  Status system(const std::string& text);
  Status clear(const std::string&);
  Status undo(const std::string&);
  Status retry(const std::string&);
  Status drop(const std::string& count);
  Status save(const std::string& path);
  Status load(const std::string& path);
  Status stats(const std::string&);
  Status set(const std::string& text);
  Status tool(const std::string& text);
  Status exit(const std::string&);

  const Options& options_;
  SampleOptions sample_;  // with the seed, as soon as there is one
  OpenedModel& loaded_;
  Conversation& conversation_;
  bool hide_think_;
  std::unique_ptr<LineEditor> editor_;
  std::optional<GenerateResult> last_;
  bool ended_ = false;
  bool in_open_block_ = false;  // the input ended between """ and """
  bool told_how_to_end_ = false;
};

std::vector<Chat::Command> Chat::commands() {
  return {
      {"help", "", "this list", &Chat::help},
      {"system", "[TEXT]", "show the system message, or change it; \"\" removes it", &Chat::system},
      {"clear", "", "start anew", &Chat::clear},
      {"undo", "", "take the last exchange back", &Chat::undo},
      {"retry", "", "answer the last message again, with another seed", &Chat::retry},
      {"drop", "[N]", "forget the N oldest exchanges, for a full context", &Chat::drop},
      {"save", "FILE", "write the conversation, as --load and --messages read it", &Chat::save},
      {"load", "FILE", "go on with a conversation from a file", &Chat::load},
      {"stats", "", "speed, cores, and how full the context is", &Chat::stats},
      {"set", "[NAME VALUE]", "show the settings, or change one", &Chat::set},
      {"tool", "TEXT", "give the result of a tool that the model called", &Chat::tool},
      {"exit", "", "end; Ctrl-D, too", &Chat::exit},
  };
}

Status Chat::run() {
  const Status status = talk();
  if (options_.save_path.empty()) return status;
  const Status saved = save_conversation(options_.save_path);
  return status.ok() ? saved : status;
}

Status Chat::talk() {
  if (stdin_is_terminal() && !options_.run.quiet) {
    print(stderr, "%s. /help lists commands; Ctrl-C stops an answer, Ctrl-D ends.\n",
          shown_path(loaded_.model->path()).c_str());
  }
  std::string message;
  while (!ended_) {
    const LineStatus read = read_message(&message);
    if (read == LineStatus::kEnd) break;
    if (read == LineStatus::kInterrupted && !std::exchange(told_how_to_end_, true)) {
      print(stderr, "Ctrl-D ends\n");
    }
    if (read == LineStatus::kInterrupted || message.empty()) continue;
    editor_->remember(message);
    Status status = handle(message);
    if (status.ok()) continue;
    // A person can do something about it. A script gets the exit code.
    const bool goes_on =
        stdin_is_terminal() &&
        (status.code() == StatusCode::kInvalidArgument ||
         status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kContextFull ||
         status.code() == StatusCode::kNotFound || status.code() == StatusCode::kIoError ||
         status.code() == StatusCode::kInvalidFile || status.code() == StatusCode::kOutOfRange);
    if (!goes_on) return status;
    print(stderr, "midge: error: %s\n", visible_text(status.message(), Layout::kOneLine).c_str());
  }
  if (in_open_block_) {
    return make_status(StatusCode::kInvalidArgument,
                       "the input ends in a message that \"\"\" does not close");
  }
  return Status();
}

LineStatus Chat::read_message(std::string* message) {
  LineStatus status = editor_->read("> ", message);
  if (status != LineStatus::kLine) return status;
  if (message->starts_with("\"\"\"")) return read_block(message);
  while (message->ends_with('\\')) {
    message->back() = '\n';
    std::string line;
    status = editor_->read(". ", &line);
    if (status == LineStatus::kEnd) break;
    if (status != LineStatus::kLine) return status;
    *message += line;
  }
  return LineStatus::kLine;
}

// Lines between """ and """, which may stand beside text.
LineStatus Chat::read_block(std::string* message) {
  constexpr std::string_view kQuotes = "\"\"\"";
  message->erase(0, kQuotes.size());
  while (!message->ends_with(kQuotes)) {
    std::string line;
    const LineStatus status = editor_->read(". ", &line);
    in_open_block_ = status == LineStatus::kEnd;
    if (status != LineStatus::kLine) return status;
    if (!message->empty()) *message += '\n';
    *message += line;
  }
  message->erase(message->size() - kQuotes.size());
  if (message->starts_with('\n')) message->erase(0, 1);  // of a paste
  if (message->ends_with('\n')) message->pop_back();
  return LineStatus::kLine;
}

// A line of the kind "/word" is a command, or a mistake; "/usr/bin" is none.
bool is_command(const std::string& line) {
  if (line.size() < 2 || line[0] != '/') return false;
  const size_t end = std::min(line.find(' '), line.size());
  return std::all_of(line.begin() + 1, line.begin() + static_cast<int64_t>(end),
                     [](char c) { return c >= 'a' && c <= 'z'; });
}

Status Chat::handle(const std::string& message) {
  if (is_command(message)) return handle_command(message);
  return answer({ChatRole::kUser, message});
}

Status Chat::handle_command(const std::string& line) {
  const size_t end = std::min(line.find(' '), line.size());
  std::string name = line.substr(1, end - 1);
  if (name == "quit" || name == "bye") name = "exit";
  std::string argument = line.substr(end);
  argument.erase(0, std::min(argument.find_first_not_of(' '), argument.size()));
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    names.emplace_back(command.name);
    if (name != command.name) continue;
    const bool takes_one = command.argument[0] != '\0';
    if (!takes_one && !argument.empty()) {
      return make_status(StatusCode::kInvalidArgument, "/%s takes nothing, found '%s'",
                         name.c_str(), printable(argument).c_str());
    }
    if (takes_one && command.argument[0] != '[' && argument.empty()) {
      return make_status(StatusCode::kInvalidArgument, "/%s needs %s", name.c_str(),
                         command.argument);
    }
    return (this->*command.handler)(argument);
  }
  const std::string meant = closest(name, names);
  return make_status(StatusCode::kInvalidArgument, "no command '/%s'; %s", name.c_str(),
                     meant.empty() ? "/help lists them" : ("did you mean /" + meant + "?").c_str());
}

Status Chat::answer(const ChatMessage& message) {
  AnswerPrinter printer(hide_think_);
  Result<GenerateResult> result =
      conversation_.send(message, [&](std::string_view text) { return printer.show(text); });
  printer.finish();
  interrupted() = false;
  if (!result.ok() && result.status().code() != StatusCode::kCancelled) {
    if (result.status().code() == StatusCode::kContextFull) {
      return offer_room(message, result.status());
    }
    return result.status();
  }
  print(stdout, "\n");
  flush(stdout);
  if (!result.ok() || result->tokens.empty()) return Status();
  last_ = std::move(*result);
  if (options_.verbose) {
    report_speed(*last_);
    report_drafts(*last_, loaded_);
  }
  if (options_.run.quiet) return Status();
  if (last_->reason == FinishReason::kTokensMax) {
    print(stderr, "stopped at %lld tokens; /set tokens N or -n allows more\n",
          static_cast<long long>(conversation_.options().tokens_max));
  } else if (last_->reason == FinishReason::kContextFull) {
    print(stderr, "the context is full: /drop %zu forgets the oldest exchanges, /clear all\n",
          std::max<size_t>(1, conversation_.droppable()));
  }
  return Status();
}

// The message does not fit behind what was said: asks what may be forgotten.
Status Chat::offer_room(const ChatMessage& message, const Status& status) {
  const size_t count = conversation_.droppable();
  if (count == 0 || !stdin_is_terminal()) {
    return Status(StatusCode::kContextFull, with_context_hint(status, loaded_).message() +
                                                (count == 0 ? "" : "; /drop makes room"));
  }
  const bool yes = asks_yes(format_string(
      "The context of %lld tokens is full. Forget the oldest %zu of %zu exchanges? "
      "[Y/n] ",
      static_cast<long long>(loaded_.session->context_length()), count, conversation_.exchanges()));
  if (!yes) {
    print(stderr, "not sent; /drop or /clear makes room, the up arrow brings it back\n");
    return Status();
  }
  conversation_.drop_oldest(count);
  return answer(message);
}

bool Chat::asks_yes(const std::string& question) {
  std::string line;
  for (;;) {
    if (editor_->read(question, &line) != LineStatus::kLine) return false;
    if (line.empty() || line == "y" || line == "Y" || line == "yes") return true;
    if (line == "n" || line == "N" || line == "no") return false;
  }
}

// "1 exchange", "2 exchanges".
std::string exchanges_text(size_t count) {
  return std::to_string(count) + (count == 1 ? " exchange" : " exchanges");
}

Status Chat::help(const std::string&) {
  for (const Command& command : commands()) {
    const std::string left = std::string("/") + command.name + " " + command.argument;
    print(stderr, "  %-20s %s\n", left.c_str(), command.help);
  }
  print(stderr,
        "A line that ends with \\ goes on in the next one; \"\"\" begins and ends a message of "
        "several lines.\n");
  return Status();
}

Status Chat::system(const std::string& text) {
  if (!text.empty()) {
    const bool removes = text == "\"\"";
    MIDGE_RETURN_IF_ERROR(
        conversation_.set_system(removes ? std::nullopt : std::optional<std::string>(text)));
  }
  const std::optional<std::string>& now = conversation_.system();
  print(stderr, "%s\n", now.has_value() ? now->c_str() : "no system message of your own");
  return Status();
}

Status Chat::clear(const std::string&) {
  conversation_.clear();
  last_.reset();
  print(stderr, "started anew\n");
  return Status();
}

Status Chat::undo(const std::string&) {
  const std::optional<ChatMessage> message = conversation_.undo();
  if (!message.has_value()) {
    return make_status(StatusCode::kInvalidArgument, "nothing was said yet");
  }
  print(stderr, "taken back: %s\n",
        visible_text(printable(message->content, 60), Layout::kOneLine).c_str());
  return Status();
}

Status Chat::retry(const std::string&) {
  const std::optional<ChatMessage> message = conversation_.undo();
  if (!message.has_value()) {
    return make_status(StatusCode::kInvalidArgument, "nothing was said yet");
  }
  SamplerOptions& sampler = conversation_.options().sampler;
  ++sampler.seed;
  if (sampler.temperature <= 0) {
    print(stderr, "the best tokens are the same again; /set temp 0.8 draws others\n");
  }
  return answer(*message);
}

Status Chat::drop(const std::string& count) {
  size_t oldest = std::max<size_t>(1, conversation_.droppable());
  if (!count.empty()) {
    std::string text = count;
    const std::string complaint = whole_number(1, 1'000'000)(text);
    if (!complaint.empty()) return Status(StatusCode::kInvalidArgument, "/drop " + complaint);
    oldest = std::stoul(count);
  }
  conversation_.drop_oldest(oldest);
  print(stderr, "%s left\n", exchanges_text(conversation_.exchanges()).c_str());
  return Status();
}

Status Chat::save(const std::string& path) {
  MIDGE_RETURN_IF_ERROR(save_conversation(path));
  print(stderr, "%s: %s\n", shown_path(path).c_str(),
        exchanges_text(conversation_.exchanges()).c_str());
  return Status();
}

Status Chat::load(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(std::vector<ChatMessage> messages, read_messages(path));
  conversation_.replace(std::move(messages));
  print(stderr, "%s: %s\n", shown_path(path).c_str(),
        exchanges_text(conversation_.exchanges()).c_str());
  return Status();
}

Status Chat::stats(const std::string&) {
  if (last_.has_value()) {
    report_speed(*last_);
    report_drafts(*last_, loaded_);
  }
  print_core_work(stderr, loaded_.model->executor().team());
  print(stderr, "context %lld of %lld tokens, %s\n", static_cast<long long>(conversation_.tokens()),
        static_cast<long long>(loaded_.session->context_length()),
        exchanges_text(conversation_.exchanges()).c_str());
  return Status();
}

Status Chat::set(const std::string& text) {
  const size_t space = std::min(text.find_first_of(" ="), text.size());
  const std::string name = text.substr(0, space);
  std::string value = text.substr(std::min(space + 1, text.size()));
  value.erase(0, std::min(value.find_first_not_of(" ="), value.size()));
  std::vector<std::string> names;
  for (const Setting& setting : settings()) {
    names.emplace_back(setting.name);
    if (name.empty()) {
      print(stderr, "  %-20s %s\n", setting.name, setting.show(conversation_.options()).c_str());
    }
    if (name != setting.name) continue;
    const std::string complaint = setting.check(value);
    if (!complaint.empty()) return Status(StatusCode::kInvalidArgument, name + " " + complaint);
    setting.set(conversation_.options(), value);
    if (name == "seed") sample_.seed = conversation_.options().sampler.seed;
    draw_seed_if_needed();
    print(stderr, "%s is %s\n", setting.name, setting.show(conversation_.options()).c_str());
    return Status();
  }
  if (name.empty()) return Status();
  return make_status(StatusCode::kInvalidArgument, "no setting '%s', expected %s",
                     printable(name).c_str(), list_of(names).c_str());
}

// As at the start: who draws tokens, and gave no seed, gets another one each time.
void Chat::draw_seed_if_needed() {
  SamplerOptions& sampler = conversation_.options().sampler;
  sample_.sampler.temperature = sampler.temperature;
  const bool had_seed = sample_.seed.has_value();
  sample_.seed = draw_seed(options_.run, sample_);
  if (!had_seed && sample_.seed.has_value()) sampler.seed = *sample_.seed;
}

Status Chat::tool(const std::string& text) { return answer({ChatRole::kTool, text}); }

Status Chat::exit(const std::string&) {
  ended_ = true;
  return Status();
}

Status chat_command(const Options& options) {
  MIDGE_RETURN_IF_ERROR(check_draft_options(options.run));
  std::vector<ChatMessage> messages;
  if (!options.load_path.empty()) {
    MIDGE_ASSIGN_OR_RETURN(messages, read_messages(options.load_path));
  }
  if (!options.save_path.empty()) {
    // Not at the end, when there is something to lose.
    const std::ofstream file(options.save_path, std::ios::app);
    if (!file.good()) {
      return make_status(StatusCode::kIoError, "%s: cannot be written",
                         shown_path(options.save_path).c_str());
    }
  }
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(options.run));
  MIDGE_ASSIGN_OR_RETURN(ChatSetup setup, set_up_chat(options.chat, loaded.model->tokenizer()));
  if (options.system.has_value()) {
    MIDGE_RETURN_IF_ERROR(check_takes_system(setup.chat, loaded.model->path()));
  }
  warn_of_unused(options.sample);
  SampleOptions sample = options.sample;
  sample.seed = draw_seed(options.run, sample);
  MIDGE_ASSIGN_OR_RETURN(GenerateOptions generate_options, make_generate_options(sample, loaded));
  generate_options.special_text = true;
  const bool hide_think = setup.hide_think;
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  Conversation conversation(loaded, std::move(setup), std::move(generate_options), options.system);
  if (!messages.empty()) {
    conversation.replace(std::move(messages));
    if (options.system.has_value()) MIDGE_RETURN_IF_ERROR(conversation.set_system(options.system));
  }
  return Chat(options, std::move(sample), loaded, conversation, hide_think).run();
}

}  // namespace

void add_chat_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand("chat", "Talk with a model");
  add_run_options(*command, options->run);
  add_draft_options(*command, options->run);
  command->add_option("--system", options->system, "System message")->group(kChatGroup);
  command->add_option("--load", options->load_path, "Go on with a conversation of --save or /save")
      ->type_name("FILE")
      ->group(kChatGroup);
  command->add_option("--save", options->save_path, "Write the conversation there at the end")
      ->type_name("FILE")
      ->group(kChatGroup);
  add_chat_options(*command, options->chat);
  command->add_flag("--verbose", options->verbose, "Speed after each answer, as /stats");
  add_quiet_option(*command, options->run);
  command->add_flag("--no-history", options->no_history, "Keep no typed lines for later runs");
  add_sample_options(*command, options->sample);
  command->footer(
      "  midge chat tiny-phi\n"
      "  midge chat model.gguf --system \"Be brief.\" --temp 0.7\n"
      "  midge chat model.gguf --load talk.json --save talk.json\n");
  command->callback([=] { *run = [=] { return chat_command(*options); }; });
}

}  // namespace midge
