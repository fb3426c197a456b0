// midge eval: how well a model predicts a text; questions with choices are in eval_tasks.cc.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/common.h"
#include "cli/eval_tasks.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "cli/terminal.h"
#include "engine/core/visible.h"
#include "engine/packed/packed_quality.h"
#include "engine/session/perplexity.h"

namespace midge {
namespace {

constexpr uint64_t kTextBytesMaxOfEval = uint64_t{256} << 20;

struct Options {
  RunOptions run;
  std::string file;  ///< of a text; empty: none
  int64_t window = 512;
  std::string role = "prompt";
  std::string reference;             ///< path; empty: none
  bool keep = false;                 ///< in the packed file
  std::string reference_arithmetic;  ///< empty: float, or packed for a packed file
  TaskOptions tasks;
};

// A report of one or, with a reference, two models.
void write_report(const Options& options, const DivergenceResult& result) {
  const PerplexityResult& model = result.model;
  const bool compared = !options.reference.empty();
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.eval").member("version", int64_t{1});
    json.member("model", options.run.model).member("file", options.file);
    json.member("window", options.window).member("role", options.role);
    json.member("tokens", model.tokens);
    json.member("scored", model.scored).member("nll_sum", model.nll_sum);
    json.member("perplexity", model.perplexity);
    if (compared) {
      json.begin_object("reference").member("model", options.reference);
      json.member("arithmetic", options.reference_arithmetic);
      json.member("perplexity", result.reference.perplexity).end_object();
      json.member("kl_mean", result.kl_mean).member("kl_p99", result.kl_p99);
      json.member("top1_agreement", result.top1_agreement);
    }
    json.end_object();
    print_json(json);
    return;
  }
  print(stdout, "perplexity %.4f over %lld tokens in windows of %lld\n", model.perplexity,
        static_cast<long long>(model.scored), static_cast<long long>(options.window));
  if (!compared) return;
  print(stdout, "reference  %.4f\n", result.reference.perplexity);
  print(stdout, "divergence from it: mean %.5f nats, 99 of 100 tokens below %.4f\n", result.kl_mean,
        result.kl_p99);
  print(stdout, "same most likely token: %.2f %%\n", 100 * result.top1_agreement);
}

// What --keep needs, before anything is computed.
Status check_keep(const Options& options) {
  if (options.reference.empty() || !is_packed_file(options.run.model)) {
    return make_status(StatusCode::kInvalidArgument,
                       "--keep with '%s', expected a packed file, and --reference",
                       shown_path(options.run.model).c_str());
  }
  return Status();
}

// Names without folders: files say nothing about the machine that measured.
std::string name_of(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  return name.substr(0, kQualityNameMax);
}

Status keep_result(const Options& options, const DivergenceResult& result) {
  PackedQuality quality;
  quality.text = name_of(options.file);
  quality.reference = name_of(options.reference);
  quality.scored = result.model.scored;
  quality.window = options.window;
  quality.generated = options.role == "generated";
  quality.perplexity = result.model.perplexity;
  quality.reference_perplexity = result.reference.perplexity;
  quality.kl_mean = result.kl_mean;
  quality.kl_p99 = result.kl_p99;
  quality.top1_agreement = result.top1_agreement;
  ProgressBar bar("writing", ProgressBar::Unit::kMegabytes);
  return keep_packed_quality(options.run.model, quality,
                             [&](int64_t done, int64_t total) { bar.update(done, total); });
}

// The reference runs the weights as its files have them, on f16 pages.
Result<OpenedModel> load_reference(const Options& options) {
  RunOptions run = options.run;
  run.model = options.reference;
  run.arithmetic = options.reference_arithmetic;
  run.weights.clear();
  run.recipe.clear();
  run.tensors.clear();
  run.importance.clear();
  run.kv_type = RunOptions().kv_type;
  run.needs_tokenizer = false;
  return load_model(run);
}

Status eval_text(Options options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_text_or_stdin(options.file, kTextBytesMaxOfEval));
  RunOptions& run = options.run;
  if (run.context_length == 0) run.context_length = options.window;
  MIDGE_ASSIGN_OR_RETURN(run.model, find_model(run.model));
  if (options.keep) MIDGE_RETURN_IF_ERROR(check_keep(options));
  if (options.reference_arithmetic.empty()) {
    options.reference_arithmetic = is_packed_file(options.reference) ? "packed" : "float";
  }
  MIDGE_ASSIGN_OR_RETURN(OpenedModel loaded, load_model(run));
  OpenedModel reference;
  if (!options.reference.empty()) {
    MIDGE_ASSIGN_OR_RETURN(reference, load_reference(options));
    reference.session->set_cancel_flag(&interrupted());
  }
  std::vector<int32_t> tokens;
  MIDGE_RETURN_IF_ERROR(loaded.model->tokenizer().encode(text, SpecialTokens::kAsText, &tokens));
  watch_interrupts();
  loaded.session->set_cancel_flag(&interrupted());
  const RowRole role = options.role == "generated" ? RowRole::kGenerated : RowRole::kPrompt;
  DivergenceResult result;
  {
    ProgressBar bar("evaluating");
    const auto on_window = [&](const PerplexityResult& so_far) {
      bar.update(so_far.windows * options.window, static_cast<int64_t>(tokens.size()));
      return !interrupted();
    };
    if (reference.session == nullptr) {
      MIDGE_ASSIGN_OR_RETURN(result.model, measure_perplexity(*loaded.session, tokens,
                                                              options.window, role, on_window));
    } else {
      MIDGE_ASSIGN_OR_RETURN(
          result, measure_divergence(
                      *reference.session, *loaded.session, tokens, options.window, role,
                      [&](const DivergenceResult& so_far) { return on_window(so_far.model); }));
    }
  }
  write_report(options, result);
  return options.keep ? keep_result(options, result) : Status();
}

Status eval_command(const Options& options) {
  if (!options.tasks.file.empty()) return eval_tasks(options.run, options.tasks, options.role);
  if (!options.file.empty()) return eval_text(options);
  return make_status(StatusCode::kInvalidArgument,
                     "no text and no questions: expected --perplexity FILE or --tasks FILE; see "
                     "midge eval -h");
}

}  // namespace

void add_eval_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command = app.add_subcommand(
      "eval", "Measure perplexity of a text, divergence from a reference, or answers to questions");
  add_run_options(*command, options->run);
  CommandOption* text = command->add_option("--perplexity", options->file, "Text file");
  text->type_name("FILE");
  CommandOption* window = command->add_option("--window", options->window, "Tokens per window");
  window->check(whole_number(2, 1 << 24))->capture_default_str();
  takes_one_of(command->add_option("--role", options->role,
                                   "Arithmetic of packed weights: as for a prompt, or as for "
                                   "generated tokens"),
               {"prompt", "generated"})
      ->capture_default_str();
  CommandOption* reference = command->add_option(
      "--reference", options->reference,
      "Model whose predictions are compared with, for example the original weights");
  reference->type_name("FILE");
  CommandOption* arithmetic = command->add_option(
      "--reference-arithmetic", options->reference_arithmetic,
      "How the reference's matrices are multiplied, see --arithmetic (default: float; packed for a "
      "packed file)");
  takes_one_of(arithmetic, {"packed", "float", "xnnpack"});
  CommandOption* keep = command->add_flag(
      "--keep", options->keep, "Keep the result in the packed file, where midge inspect shows it");
  CommandOption* tasks = add_task_options(*command, options->tasks);
  for (CommandOption* option : {text, window, reference, arithmetic, keep}) {
    tasks->excludes(option);
  }
  add_json_option(*command, options->run);
  command->footer(
      "  midge eval model.gguf --perplexity text.txt\n"
      "  midge eval path/to/model --perplexity text.txt --recipe fast --reference path/to/model\n"
      "  midge eval path/to/model --tasks questions.jsonl --choices letters\n");
  command->callback([=] { *run = [=] { return eval_command(*options); }; });
}

}  // namespace midge
