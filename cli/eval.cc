// midge eval: how well a model predicts a text.
#include <algorithm>
#include <cstdio>

#include "cli/common.h"
#include "cli/terminal.h"
#include "engine/session/perplexity.h"

namespace midge {
namespace {

constexpr uint64_t kTextBytesMaxOfEval = uint64_t{256} << 20;

struct Options {
  RunOptions run;
  std::string file;
  int64_t window = 512;
  std::string role = "prompt";
};

Status eval_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_small_file(options.file, kTextBytesMaxOfEval));
  RunOptions run = options.run;
  if (run.context_length == 0) run.context_length = options.window;
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(run));
  std::vector<int32_t> tokens;
  MIDGE_RETURN_IF_ERROR(loaded.model->tokenizer().encode(text, SpecialTokens::kAsText, &tokens));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  const RowRole role = options.role == "generated" ? RowRole::kGenerated : RowRole::kPrompt;
  Result<PerplexityResult> result = PerplexityResult();
  {
    ProgressBar bar("evaluating");
    result = measure_perplexity(
        *loaded.session, tokens, options.window, role, [&](const PerplexityResult& so_far) {
          bar.update(so_far.windows * options.window, static_cast<int64_t>(tokens.size()));
          return !interrupted();
        });
  }
  MIDGE_RETURN_IF_ERROR(result.status());
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.eval").member("version", int64_t{1});
    json.member("model", loaded.model->path()).member("file", options.file);
    json.member("window", options.window).member("role", options.role);
    json.member("tokens", result->tokens);
    json.member("scored", result->scored).member("nll_sum", result->nll_sum);
    json.member("perplexity", result->perplexity).end_object();
    print_json(json);
  } else {
    print(stdout, "perplexity %.4f over %lld tokens in windows of %lld\n", result->perplexity,
          static_cast<long long>(result->scored), static_cast<long long>(options.window));
  }
  return Status();
}

}  // namespace

void add_eval_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("eval", "Measure the perplexity of a text");
  add_run_options(*command, options->run);
  command->add_option("--perplexity", options->file, "Text file")->required();
  command->add_option("--window", options->window, "Tokens per window")
      ->check(CLI::Range(int64_t{2}, int64_t{1} << 24))
      ->capture_default_str();
  command
      ->add_option("--role", options->role,
                   "Arithmetic of packed weights: as for a prompt, or as for generated tokens")
      ->check(CLI::IsMember({"prompt", "generated"}))
      ->capture_default_str();
  command->add_flag("--json", options->run.json, "Report as JSON");
  command->callback([=] { *run = [=] { return eval_command(*options); }; });
}

}  // namespace midge
