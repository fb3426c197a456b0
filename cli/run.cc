// midge run: continues a text, or answers a conversation.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <vector>

#include "cli/chat_options.h"
#include "cli/common.h"
#include "cli/run_requests.h"
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
  std::string requests_path;
};

/// What the model continues.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
};

// Standard input, as far as it can be a prompt: white space that a vocabulary drops is not counted
// in tokens, and 16 MiB may be all that.
Status read_prompt(const OpenedModel& loaded, std::string* text) {
  constexpr size_t kAlwaysRead = size_t{16} << 20;
  const size_t longest = context_tokens(loaded) * loaded.model->tokenizer().token_bytes_max();
  const size_t bytes_max = std::min(std::max(longest, kAlwaysRead), kTextBytesMax);
  std::vector<char> buffer(size_t{64} << 10);
  while (std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size())),
         std::cin.gcount() > 0) {
    text->append(buffer.data(), static_cast<size_t>(std::cin.gcount()));
    if (text->size() > bytes_max) {
      return make_status(StatusCode::kContextFull,
                         "standard input has more than %zu bytes, the context holds %zu tokens",
                         bytes_max, context_tokens(loaded));
    }
  }
  return Status();
}

Result<Prompt> text_prompt(const Options& options, const OpenedModel& loaded) {
  Prompt prompt;
  prompt.text = options.prompt;
  if (prompt.text == "-") {
    prompt.text.clear();
    MIDGE_RETURN_IF_ERROR(read_prompt(loaded, &prompt.text));
  }
  MIDGE_ASSIGN_OR_RETURN(prompt.tokens,
                         loaded.model->encode_prompt(prompt.text, context_tokens(loaded)));
  return prompt;
}

// The file and what it is parsed into are gone when its parts are encoded.
Result<std::vector<PromptPart>> read_conversation(const Options& options, const ChatSetup& setup) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_small_file(options.messages_path, kChatJsonBytesMax));
  MIDGE_ASSIGN_OR_RETURN(std::vector<ChatMessage> messages,
                         parse_chat_messages(shown_path(options.messages_path), text));
  for (ChatMessage& message : messages) {
    if (!setup.drop_think || message.role != ChatRole::kAssistant) continue;
    message.content = std::string(split_think(message.content).answer);
  }
  return render_chat(setup.chat, messages, GenerationPrompt::kAssistant, setup.tools);
}

Result<Prompt> chat_prompt(const Options& options, const ChatSetup& setup,
                           const OpenedModel& loaded) {
  MIDGE_ASSIGN_OR_RETURN(const std::vector<PromptPart> parts, read_conversation(options, setup));
  Prompt prompt;
  MIDGE_RETURN_IF_ERROR(
      loaded.model->tokenizer().encode_parts(parts, &prompt.tokens, context_tokens(loaded)));
  prompt.text = render_text(parts);
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
  if (!options.requests_path.empty()) {
    return run_requests(options.run, options.sample, options.requests_path);
  }
  const bool is_chat = !options.messages_path.empty();
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(options.run));
  ChatSetup setup;
  Prompt prompt;
  if (is_chat) {
    MIDGE_ASSIGN_OR_RETURN(setup, set_up_chat(options.chat, loaded.model->tokenizer()));
    MIDGE_ASSIGN_OR_RETURN(prompt, chat_prompt(options, setup, loaded));
  } else {
    MIDGE_ASSIGN_OR_RETURN(prompt, text_prompt(options, loaded));
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
  input->add_option("--requests", options->requests_path,
                    "JSON lines file of requests, to serve them side by side; prints a line for "
                    "each answer");
  for (CLI::Option* option : add_chat_options(*command, options->chat)) option->needs(messages);
  command
      ->add_option("--logprobs", options->sample.sampler.logprobs,
                   "Alternatives per token in --json")
      ->check(CLI::Range(0, kLogprobsMax));
  command->add_flag("--json", options->run.json, "Report as JSON on stdout, at the end");
  command->callback([=] { *run = [=] { return run_command(*options); }; });
}

}  // namespace midge
