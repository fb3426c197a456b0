// midge plan: what a model will take, before any of it is taken.
#include <cstdio>

#include "bench/model/device.h"
#include "cli/common.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "engine/core/visible.h"
#include "models/synthetic.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  std::string synthetic;
  std::string device;
  int64_t sessions = 1;
  std::string of_memory;  ///< an option that was given and says something of memory alone
};

void print_line(const char* what, int64_t bytes, const char* note) {
  print(stdout, "%-22s %12.1f MB  %s\n", what, static_cast<double>(bytes) * 1e-6, note);
}

void print_text(const std::string& path, const MemoryPlan& plan) {
  print(stdout, "%s, context %lld tokens, %lld session%s\n", shown_path(path).c_str(),
        static_cast<long long>(plan.context), static_cast<long long>(plan.sequences),
        plan.sequences == 1 ? "" : "s");
  print_line("weights in the file", plan.mapped(), "mapped");
  if (plan.files_copied > 0) print_line("files", plan.files_copied, "anonymous");
  print_line("weights copied", plan.executor.weights_copied, "anonymous");
  print_line("KV cache", plan.sequences * plan.kv_per_sequence, "anonymous");
  print_line("tokens", plan.sequences * plan.tokens_per_sequence, "anonymous");
  print_line("scratch", plan.executor.scratch, "anonymous");
  if (plan.drafts > 0) print_line("drafts", plan.drafts, "anonymous");
  print_line("mapped", plan.mapped(), "the system may drop it and read it again");
  print_line("anonymous", plan.anonymous(), "stays");
  print_line("all", plan.total(), "");
}

void print_report(const std::string& path, const MemoryPlan& plan,
                  const std::optional<int64_t>& budget, int64_t fits) {
  JsonWriter json;
  json.begin_object().member("schema", "midge.plan").member("version", int64_t{1});
  json.member("model", path).member("context", plan.context).member("sessions", plan.sequences);
  json.member("weights_in_place", plan.executor.weights_in_place);
  json.member("files_copied", plan.files_copied);
  json.member("weights_copied", plan.executor.weights_copied);
  json.member("kv", plan.sequences * plan.kv_per_sequence);
  json.member("tokens", plan.sequences * plan.tokens_per_sequence);
  json.member("scratch", plan.executor.scratch).member("drafts", plan.drafts);
  json.member("mapped", plan.mapped()).member("anonymous", plan.anonymous());
  json.member("total", plan.total());
  if (budget.has_value()) json.member("budget", *budget).member("context_that_fits", fits);
  json.end_object();
  print_json(json);
}

/// What is predicted for.
struct Predicted {
  std::string name;
  double model_bytes = 0;
  bool has_floats = false;  ///< that are multiplied as they are
  bench::TokenCost cost;
};

Result<Predicted> predicted_model(const Options& options) {
  if (!options.synthetic.empty()) {
    MIDGE_ASSIGN_OR_RETURN(const ModelConfig config, synthetic_config(options.synthetic));
    MIDGE_ASSIGN_OR_RETURN(const Encoding encoding, synthetic_encoding(options.run));
    MIDGE_ASSIGN_OR_RETURN(const SyntheticBytes bytes, synthetic_bytes(config, encoding));
    return Predicted{"synthetic " + options.synthetic,
                     static_cast<double>(bytes.all),
                     false,
                     {static_cast<double>(bytes.token), static_cast<double>(bytes.token_macs),
                      static_cast<double>(bytes.prompt_macs)}};
  }
  for (const auto& [name, is_set] : {std::pair("--weights", !options.run.weights.empty()),
                                     std::pair("--recipe", !options.run.recipe.empty()),
                                     std::pair("--tensor", !options.run.tensors.empty()),
                                     std::pair("--importance", !options.run.importance.empty())}) {
    if (!is_set) continue;
    return make_status(StatusCode::kInvalidArgument,
                       "--device predicts for the weights that are in the file, so %s does not go "
                       "with it; see midge pack",
                       name);
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.run.model));
  LoadOptions load;
  load.access = file_access(options.run);
  load.needs_tokenizer = false;
  load.makes_executor = false;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, LoadedModel::open(path, load));
  Predicted predicted;
  predicted.name = shown_path(path);
  predicted.model_bytes = static_cast<double>(model->model().storage().file_bytes());
  predicted.cost.bytes = static_cast<double>(model->model().token_bytes());
  visit_linear_matrices(
      model->model().weights(), [&](const std::string& name, const PreparedMatrix& w) {
        if (is_of_mtp(name)) return;
        const double macs = static_cast<double>(w.n()) * static_cast<double>(w.k());
        predicted.cost.macs += macs;
        if (name != "head") predicted.cost.prompt_macs += macs;
        const Encoding encoding =
            w.form == PreparedMatrix::Form::kTiles ? w.tiles.encoding : w.rows.encoding;
        predicted.has_floats |=
            encoding == Encoding::kF32 || encoding == Encoding::kBF16 || encoding == Encoding::kF16;
      });
  return predicted;
}

Status predict_command(const Options& options) {
  MIDGE_ASSIGN_OR_RETURN(const bench::Device device, bench::find_device(options.device));
  MIDGE_ASSIGN_OR_RETURN(const Predicted model, predicted_model(options));
  const bench::TokenCost& cost = model.cost;
  MIDGE_ASSIGN_OR_RETURN(const bench::Prediction p, bench::predict(device, cost));
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.prediction").member("version", int64_t{1});
    json.member("model", model.name).member("device", device.title);
    json.member("model_bytes", model.model_bytes).member("token_bytes", cost.bytes);
    json.member("token_macs", cost.macs).member("prompt_macs", cost.prompt_macs);
    json.member("bandwidth", device.bandwidth).member("source", device.source);
    json.member("decode_limit", p.decode_limit).member("prompt_limit", p.prompt_limit);
    json.member("decode_expected", p.decode_expected);
    json.member("prompt_expected", p.prompt_expected).end_object();
    print_json(json);
    return Status();
  }
  print(stdout, "%s on %s (%s)\n", visible_text(model.name, Layout::kOneLine).c_str(),
        visible_text(device.title, Layout::kOneLine).c_str(),
        visible_text(device.source, Layout::kOneLine).c_str());
  print(stdout, "a token reads %.2f GB and takes %.2f G multiply-adds\n", cost.bytes * 1e-9,
        cost.macs * 1e-9);
  if (device.memory > 0) {
    const auto memory = static_cast<double>(device.memory);
    print(stdout, "its memory is %.1f GB, which must hold the model (%.2f GB) and its KV cache%s\n",
          memory * 1e-9, model.model_bytes * 1e-9,
          model.model_bytes < memory ? "" : ": it does not fit");
  }
  if (model.has_floats) {
    print(stdout,
          "some weights are floats, which are multiplied as they are: slower than this says "
          "(see midge pack)\n");
  }
  print(stdout, "          at most   expected\n");
  print(stdout, "decode  %8.1f   %8.1f tok/s\n", p.decode_limit, p.decode_expected);
  print(stdout, "prompt  %8.1f   %8.1f tok/s\n", p.prompt_limit, p.prompt_expected);
  print(stdout,
        "Not measured on it. At most: its memory and cores at their peak. Expected: with the parts "
        "of them that\nmidge reached on x86-64, %.0f %% of the bandwidth that reads get (assumed: "
        "%.0f %% of "
        "the data sheet's) and %.0f %%\nof the multiply-adds.\n",
        100 * bench::kDecodeFraction, 100 * bench::kSheetBandwidth, 100 * bench::kPromptFraction);
  return Status();
}

Status plan_command(const Options& options) {
  if (!options.device.empty()) {
    if (!options.of_memory.empty()) {
      return make_status(StatusCode::kInvalidArgument,
                         "--device predicts speed, so %s does not go with it",
                         options.of_memory.c_str());
    }
    return predict_command(options);
  }
  if (!options.synthetic.empty()) {
    return make_status(StatusCode::kInvalidArgument, "--synthetic needs --device");
  }
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.run.model));
  MIDGE_ASSIGN_OR_RETURN(LoadOptions load, load_options(options.run));
  load.sequences = options.sessions;
  MIDGE_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_memory(path, load));
  int64_t fits = 0;
  if (load.memory_budget.has_value()) {
    MIDGE_ASSIGN_OR_RETURN(fits, context_within_budget(path, load, *load.memory_budget));
  }
  if (options.run.json) {
    print_report(path, plan, load.memory_budget, fits);
  } else {
    print_text(path, plan);
  }
  if (!load.memory_budget.has_value()) return Status();
  if (fits == 0) {
    return make_status(
        StatusCode::kOutOfMemory,
        "%s: no context fits into %.1f MB: weights and scratch take %.1f MB",
        shown_path(path).c_str(), static_cast<double>(*load.memory_budget) * 1e-6,
        static_cast<double>(plan.total() - plan.sequences * plan.kv_per_sequence) * 1e-6);
  }
  const int64_t missing = plan.total() - *load.memory_budget;
  if (!options.run.json) {
    const std::string small =
        missing > 0 ? format_string("too small by %.1f MB; ", static_cast<double>(missing) * 1e-6)
                    : "";
    const std::string each =
        plan.sequences > 1
            ? format_string(" for each of %lld sessions", static_cast<long long>(plan.sequences))
            : "";
    print(stdout, "%-22s %12.1f MB  %sa context of %lld tokens%s fits\n", "budget",
          static_cast<double>(*load.memory_budget) * 1e-6, small.c_str(),
          static_cast<long long>(fits), each.c_str());
  }
  if (missing > 0 && options.run.context_length > 0) {
    return make_status(StatusCode::kOutOfMemory,
                       "%s: a context of %lld tokens does not fit into the budget",
                       shown_path(path).c_str(), static_cast<long long>(plan.context));
  }
  return Status();
}

}  // namespace

void add_plan_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  options->run.needs_tokenizer = false;
  CommandLine* command =
      app.add_subcommand("plan", "Show how much memory a model takes, before it is loaded");
  add_run_options(*command, options->run);
  add_draft_options(*command, options->run);
  command
      ->add_option("--sessions", options->sessions, "Conversations at a time, with a context each")
      ->check(whole_number(1, 4096))
      ->capture_default_str();
  command
      ->add_option("--device", options->device,
                   "How fast the model should be on a device: pi4, pi5, rk3588, imx8mp, pixel8, "
                   "sd8gen3, or a description in a .json file")
      ->type_name("NAME");
  command
      ->add_option("--synthetic", options->synthetic,
                   "With --device, a model of a published shape in place of a file, as in midge "
                   "bench")
      ->type_name("NAME");
  add_json_option(*command, options->run);
  command->footer(
      "  midge plan model.gguf\n"
      "  midge plan model.midge --budget 2GiB --kv int8\n"
      "  midge plan --synthetic phi4-mini --device pi5\n");
  command->callback([=] {
    for (const char* name : {"--sessions", "--budget", "--context", "--kv"}) {
      if (command->get_option(name)->count() > 0) options->of_memory = name;
    }
    *run = [=] { return plan_command(*options); };
  });
}

}  // namespace midge
