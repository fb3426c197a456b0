// midge run: continues a text, or answers a conversation.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/core_report.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/help.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/run_requests.h"
#include "cli/terminal.h"
#include "engine/chat/chat_json.h"
#include "engine/chat/think.h"
#include "engine/core/visible.h"
#include "engine/scheduler/generate.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  ChatOptions chat;
  std::string prompt;
  std::optional<std::string> system;
  std::string messages_path;
  std::string requests_path;
  bool is_chat = false;
  bool is_raw = false;
  bool special = false;
  bool stats = false;
};

/// What the model continues.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
  bool is_chat = false;   ///< a conversation to answer, not a text to continue
  bool is_shown = false;  ///< stands before the answer already
};

// Whether the prompt is a turn of a conversation. Puts into *note what a person may want to know.
bool answers_turn(const Options& options, const OpenedModel& loaded, std::string* note) {
  if (options.is_raw || options.special) return false;
  const bool asked = options.is_chat || options.system.has_value() ||
                     !options.chat.template_name.empty() || !options.chat.tools_path.empty();
  if (asked) return true;
  const Result<ChatTemplate> chat = detect_chat_template(loaded.model->tokenizer().chat_template());
  if (chat.ok()) {
    *note = "answering a chat turn, as the model has a chat template (--raw continues the text)";
  } else if (!loaded.model->tokenizer().chat_template().empty()) {
    *note = "continuing the text: " + chat.status().message();
  }
  return chat.ok();
}

Result<Prompt> text_prompt(const PromptText& given, const Options& options,
                           const OpenedModel& loaded) {
  Prompt prompt;
  prompt.text = given.text;
  prompt.is_shown = given.typed;
  MIDGE_ASSIGN_OR_RETURN(prompt.tokens,
                         loaded.model->encode_prompt(
                             prompt.text, context_tokens(loaded),
                             options.special ? SpecialTokens::kParse : SpecialTokens::kAsText));
  return prompt;
}

// The file and what it is parsed into are gone when its parts are encoded.
Result<std::vector<PromptPart>> read_conversation(const Options& options, const ChatSetup& setup) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_text_or_stdin(options.messages_path, kChatJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(std::vector<ChatMessage> messages,
                         parse_chat_messages(shown_path(options.messages_path), text));
  for (ChatMessage& message : messages) {
    if (!setup.drop_think || message.role != ChatRole::kAssistant) continue;
    message.content = std::string(split_think(message.content).answer);
  }
  return render_chat(setup.chat, messages, GenerationPrompt::kAssistant, setup.tools);
}

Result<std::vector<PromptPart>> one_turn(const PromptText& given, const Options& options,
                                         const ChatSetup& setup) {
  std::vector<ChatMessage> messages;
  if (options.system.has_value()) messages.push_back({ChatRole::kSystem, *options.system});
  messages.push_back({ChatRole::kUser, given.text});
  return render_chat(setup.chat, messages, GenerationPrompt::kAssistant, setup.tools);
}

Result<Prompt> chat_prompt(const std::vector<PromptPart>& parts, const OpenedModel& loaded) {
  Prompt prompt;
  MIDGE_RETURN_IF_ERROR(
      loaded.model->tokenizer().encode_parts(parts, &prompt.tokens, context_tokens(loaded)));
  prompt.text = render_text(parts);
  prompt.is_chat = true;
  return prompt;
}

Result<Prompt> make_prompt(const Options& options, const OpenedModel& loaded, ChatSetup* setup,
                           std::string* note) {
  const bool is_conversation = !options.messages_path.empty();
  PromptText given;
  if (!is_conversation) {
    MIDGE_ASSIGN_OR_RETURN(given, read_prompt(options.prompt, loaded));
    // In a loop of a shell that is what the loop was to read.
    if (given.bytes_behind > 0 && !options.run.quiet) {
      print(stderr, "%zu bytes of standard input follow the prompt\n", given.bytes_behind);
    }
    if (!answers_turn(options, loaded, note)) return text_prompt(given, options, loaded);
  }
  MIDGE_ASSIGN_OR_RETURN(*setup, set_up_chat(options.chat, loaded.model->tokenizer()));
  if (options.system.has_value()) {
    MIDGE_RETURN_IF_ERROR(check_takes_system(setup->chat, loaded.model->path()));
  }
  MIDGE_ASSIGN_OR_RETURN(
      const std::vector<PromptPart> parts,
      is_conversation ? read_conversation(options, *setup) : one_turn(given, options, *setup));
  return chat_prompt(parts, loaded);
}

// Members "thought", "answer" and "tool_calls".
void write_answer(JsonWriter& json, ChatFamily family, const std::string& text) {
  const ThinkSplit split = split_think(text);
  const ParsedAnswer answer = parse_tool_calls(family, split.answer);
  json.member("thought", split.thought).member("answer", answer.content);
  json.begin_array("tool_calls");
  for (const ToolCall& call : answer.tool_calls) {
    json.begin_object().member("name", call.name);
    json.member_json("arguments", call.arguments).end_object();
  }
  json.end_array();
}

// Writes the prompt and what the model adds. The prompt waits for the first of that: what is
// refused by then leaves nothing behind.
class RunPrinter {
 public:
  RunPrinter(const Options& options, const Prompt& prompt, bool hide_think)
      : prompt_(prompt),
        shows_prompt_(!prompt.is_chat && !prompt.is_shown && !options.run.quiet),
        answer_(hide_think) {}

  bool show(std::string_view text) {
    show_prompt();
    return answer_.show(text);
  }
  void finish() {
    show_prompt();
    answer_.finish();
    print(stdout, "\n");
    flush(stdout);
  }

 private:
  void show_prompt() {
    if (!std::exchange(shows_prompt_, false)) return;
    TextOutput output;
    output.write(prompt_.text);
    output.finish();
  }

  const Prompt& prompt_;
  bool shows_prompt_;
  AnswerPrinter answer_;
};

void print_report(const OpenedModel& loaded, const Prompt& prompt, const ChatSetup& setup,
                  const SamplerOptions& sampler, const GenerateResult& result) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.run").member("version", int64_t{1});
  json.member("model", loaded.model->path())
      .member("threads", int64_t{loaded.model->executor().thread_count()});
  json.member("prompt", prompt.text).member("chat", prompt.is_chat);
  write_sampling(json, sampler);
  write_result(json, result);
  write_drafts(json, result, loaded);
  if (prompt.is_chat) write_answer(json, setup.chat.family, result.text);
  write_core_work(json, loaded.model->executor().team());
  write_memory(json, loaded);
  json.member("load_seconds", loaded.model->load_seconds()).end_object();
  print_json(json);
}

Status run_command(const Options& options) {
  MIDGE_RETURN_IF_ERROR(check_draft_options(options.run));
  if (!options.requests_path.empty()) {
    return run_requests(options.run, options.sample, options.requests_path);
  }
  if (options.messages_path.empty() && !has_prompt(options.prompt)) {
    // A name that is a prompt is the more probable mistake.
    MIDGE_RETURN_IF_ERROR(find_model(options.run.model).status());
    return no_prompt();
  }
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(options.run));
  ChatSetup setup;
  std::string note;
  const Result<Prompt> prompt = make_prompt(options, loaded, &setup, &note);
  if (!prompt.ok()) return with_context_hint(prompt.status(), loaded);
  if (prompt->tokens.empty()) {
    return make_status(StatusCode::kInvalidArgument, "the prompt has no tokens");
  }
  warn_of_unused(options.sample);
  SampleOptions sample = options.sample;
  sample.seed = draw_seed(options.run, sample);
  MIDGE_ASSIGN_OR_RETURN(GenerateOptions generate_options, make_generate_options(sample, loaded));
  generate_options.special_text = prompt->is_chat || options.special;
  if (!note.empty() && !options.run.quiet) print(stderr, "%s\n", note.c_str());
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  RunPrinter printer(options, *prompt, setup.hide_think);
  const auto show = [&](std::string_view text) {
    return options.run.json ? !interrupted() : printer.show(text);
  };
  const Result<GenerateResult> result =
      generate(*loaded.session, loaded.model->tokenizer(), loaded.model->allowed_tokens(),
               prompt->tokens, generate_options, show, loaded.speculation.get());
  if (!result.ok()) return with_context_hint(result.status(), loaded);
  if (options.run.json) {
    print_report(loaded, *prompt, setup, generate_options.sampler, *result);
  } else {
    printer.finish();
    if (!options.run.quiet) {
      report_speed(*result);
      report_drafts(*result, loaded);
    }
    if (options.stats) print_core_work(stderr, loaded.model->executor().team());
  }
  if (result->reason == FinishReason::kCancelled) {
    return make_status(StatusCode::kCancelled, "cancelled");
  }
  return Status();
}

}  // namespace

void add_run_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand("run", "Answer a prompt, or continue a text");
  add_run_options(*command, options->run);
  CommandOption* prompt =
      command->add_option("-p,--prompt,PROMPT", options->prompt,
                          "The prompt; what comes through a pipe follows it. '-': the pipe alone");
  auto* chat = command->add_flag("--chat", options->is_chat,
                                 "The prompt is a turn of a conversation, written with the "
                                 "model's chat template (default: if it has one)");
  auto* raw = command->add_flag("--raw", options->is_raw, "The prompt is a text to continue");
  raw->excludes(chat);
  add_quiet_option(*command, options->run);
  auto* stats = command->add_flag("--stats", options->stats,
                                  "What each core did, on stderr behind the answer");
  add_json_option(*command, options->run);
  add_sample_options(*command, options->sample);
  add_draft_options(*command, options->run);
  auto* system = command->add_option("--system", options->system, "System message");
  system->type_name("TEXT")->group(kChatGroup)->excludes(raw);
  auto* messages = command->add_option("--messages", options->messages_path,
                                       "JSON file of a conversation, to answer it");
  messages->type_name("FILE")->group(kChatGroup)->excludes(prompt)->excludes(raw)->excludes(system);
  auto* special =
      command->add_flag("--special", options->special,
                        "Special tokens in the prompt, as <|end|>, count as such; implies --raw");
  special->excludes(chat)->excludes(system)->excludes(messages);
  std::vector<CommandOption*> of_text = {chat, raw, system, special, stats};
  for (CommandOption* option : add_chat_options(*command, options->chat)) {
    option->excludes(raw)->excludes(special);
    of_text.push_back(option);
  }
  CommandOption* requests =
      command->add_option("--requests", options->requests_path,
                          "JSON lines file of requests, to serve them side by side; prints a line "
                          "for each answer");
  requests->type_name("FILE")->excludes(prompt)->excludes(messages);
  for (CommandOption* option : of_text) requests->excludes(option);
  add_draft_remember_option(*command, options->run)->needs(requests);
  command
      ->add_option("--logprobs", options->sample.sampler.logprobs,
                   "Alternatives per token in --json")
      ->check(whole_number(0, kLogprobsMax))
      ->group(kSamplingGroup);
  command->footer(
      "  midge run tiny-phi \"What is 7 + 5?\"\n"
      "  midge run model.gguf --raw \"Once upon a time\" -n 64\n"
      "  git diff | midge run model.gguf \"What does this change?\" -c 16384\n"
      "  midge run model.gguf --messages talk.json --json\n");
  command->callback([=] { *run = [=] { return run_command(*options); }; });
}

}  // namespace midge
