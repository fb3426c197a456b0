// midge run: continues a text, or answers a conversation.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/terminal.h"
#include "engine/chat/chat_json.h"
#include "engine/chat/think.h"
#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  ChatOptions chat;
  std::string prompt;
  std::string messages_path;
};

/// What the model continues.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
};

Result<Prompt> text_prompt(const Options& options, const LoadedModel& model) {
  Prompt prompt;
  prompt.text = options.prompt;
  if (prompt.text == "-") {
    prompt.text.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  MIDGE_ASSIGN_OR_RETURN(prompt.tokens, model.encode_prompt(prompt.text));
  return prompt;
}

Result<Prompt> chat_prompt(const Options& options, const ChatSetup& setup,
                           const Tokenizer& tokenizer) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_small_file(options.messages_path, kChatJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(std::vector<ChatMessage> messages,
                         parse_chat_messages(shown_path(options.messages_path), text));
  for (ChatMessage& message : messages) {
    if (!setup.drop_think || message.role != ChatRole::kAssistant) continue;
    message.content = std::string(split_think(message.content).answer);
  }
  MIDGE_ASSIGN_OR_RETURN(
      const std::vector<PromptPart> parts,
      render_chat(setup.chat, messages, GenerationPrompt::kAssistant, setup.tools));
  Prompt prompt;
  prompt.text = render_text(parts);
  MIDGE_RETURN_IF_ERROR(tokenizer.encode_parts(parts, &prompt.tokens));
  return prompt;
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

Status run_command(const Options& options) {
  const bool is_chat = !options.messages_path.empty();
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(options.run));
  ChatSetup setup;
  Prompt prompt;
  if (is_chat) {
    MIDGE_ASSIGN_OR_RETURN(setup, set_up_chat(options.chat, loaded.model->tokenizer()));
    MIDGE_ASSIGN_OR_RETURN(prompt, chat_prompt(options, setup, loaded.model->tokenizer()));
  } else {
    MIDGE_ASSIGN_OR_RETURN(prompt, text_prompt(options, *loaded.model));
  }
  if (prompt.tokens.empty()) {
    return make_status(StatusCode::kInvalidArgument, "the prompt is empty");
  }
  MIDGE_ASSIGN_OR_RETURN(GenerateOptions generate_options,
                         make_generate_options(options.sample, loaded));
  generate_options.special_text = is_chat;
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  if (!options.run.json && !is_chat) {
    TextOutput output;
    output.write(prompt.text);
    output.finish();
  }
  AnswerPrinter printer(setup.hide_think);
  const auto show = [&](std::string_view text) {
    return options.run.json ? !interrupted() : printer.show(text);
  };
  MIDGE_ASSIGN_OR_RETURN(
      const GenerateResult result,
      generate(*loaded.session, loaded.model->tokenizer(), loaded.model->allowed_tokens(),
               prompt.tokens, generate_options, show));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.run").member("version", int64_t{1});
    json.member("model", loaded.model->path())
        .member("threads", int64_t{loaded.model->executor().thread_count()});
    json.member("prompt", prompt.text);
    write_sampling(json, generate_options.sampler);
    write_result(json, result);
    if (is_chat) write_answer(json, setup.chat.family, result.text);
    write_memory(json, loaded);
    json.member("load_seconds", loaded.model->load_seconds()).end_object();
    print_json(json);
  } else {
    printer.finish();
    print(stdout, "\n");
    std::fflush(stdout);
    report_speed(result);
  }
  if (result.reason == FinishReason::kCancelled) {
    return make_status(StatusCode::kCancelled, "cancelled");
  }
  return Status();
}

}  // namespace

void add_run_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "Continue a text or a conversation");
  add_run_options(*command, options->run);
  add_sample_options(*command, options->sample);
  auto* input = command->add_option_group("input")->require_option(1);
  input->add_option("-p,--prompt", options->prompt, "The text; '-' reads standard input");
  auto* messages = input->add_option("--messages", options->messages_path,
                                     "JSON file of a conversation, to answer it");
  for (CLI::Option* option : add_chat_options(*command, options->chat)) option->needs(messages);
  command
      ->add_option("--logprobs", options->sample.sampler.logprobs,
                   "Alternatives per token in --json")
      ->check(CLI::Range(0, kLogprobsMax));
  command->add_flag("--json", options->run.json, "Report as JSON on stdout, at the end");
  command->callback([=] { *run = [=] { return run_command(*options); }; });
}

}  // namespace midge
