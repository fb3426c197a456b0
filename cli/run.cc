// midge run: continues a text.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "cli/common.h"
#include "cli/terminal.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  SampleOptions sample;
  std::string prompt;
};

Status run_command(const Options& options) {
  std::string prompt = options.prompt;
  if (prompt == "-") {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  MIDGE_ASSIGN_OR_RETURN(LoadedModel loaded, load_model(options.run));
  MIDGE_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens,
                         encode_prompt(*loaded.tokenizer, prompt));
  if (tokens.empty()) {
    return make_status(StatusCode::kInvalidArgument, "the prompt is empty");
  }
  MIDGE_ASSIGN_OR_RETURN(const GenerateOptions generate_options,
                         make_generate_options(options.sample, loaded));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  if (!options.run.json) std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  const auto show = [&](std::string_view text) {
    if (!options.run.json) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::fflush(stdout);
    }
    return !interrupted();
  };
  MIDGE_ASSIGN_OR_RETURN(const GenerateResult result, generate(*loaded.session, *loaded.tokenizer,
                                                               tokens, generate_options, show));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.run").member("version", int64_t{1});
    json.member("model", loaded.path).member("threads", int64_t{loaded.executor->thread_count()});
    json.member("prompt", prompt);
    write_sampling(json, generate_options.sampler);
    write_result(json, result);
    write_memory(json, loaded);
    json.member("load_seconds", loaded.load_seconds).end_object();
    print_json(json);
  } else {
    std::fputc('\n', stdout);
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
  CLI::App* command = app.add_subcommand("run", "Continue a text");
  add_run_options(*command, options->run);
  add_sample_options(*command, options->sample);
  command->add_option("-p,--prompt", options->prompt, "The text; '-' reads standard input")
      ->required();
  command
      ->add_option("--logprobs", options->sample.sampler.logprobs,
                   "Alternatives per token in --json")
      ->check(CLI::Range(0, kLogprobsMax));
  command->add_flag("--json", options->run.json, "Report as JSON on stdout, at the end");
  command->callback([=] { *run = [=] { return run_command(*options); }; });
}

}  // namespace midge
