// midge pack, midge verify: packed files.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "api/packing.h"
#include "cli/common.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/help.h"
#include "cli/open_model.h"
#include "cli/option_checks.h"
#include "cli/prompt.h"
#include "engine/core/visible.h"
#include "engine/ops/dense_backend.h"
#include "engine/packed/packed_model.h"

namespace midge {
namespace {

constexpr uint64_t kTextBytesMaxOfPack = uint64_t{256} << 20;

struct Options {
  RunOptions run;
  std::string out;
  double target_bpw = 0;  ///< 0: by the recipe
  std::string text;
  int64_t text_tokens = BitBudget().tokens_max;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The layers' encodings by what each costs, within --target-bpw.
Result<EncodingChoice> choose_by_divergence(const Options& options, const PackingOptions& packing) {
  BitBudget budget;
  MIDGE_ASSIGN_OR_RETURN(const std::string text,
                         read_text_or_stdin(options.text, kTextBytesMaxOfPack));
  budget.text = text;
  budget.bits_per_weight = options.target_bpw;
  budget.tokens_max = options.text_tokens;
  MIDGE_ASSIGN_OR_RETURN(const ExecutorOptions executor, executor_options(options.run));
  budget.arithmetic = executor.arithmetic;
  watch_interrupts();
  ProgressBar bar("measuring");
  budget.on_run = [&](int64_t done, int64_t total) {
    bar.update(done, total);
    return !interrupted();
  };
  return choose_encodings(options.run.model, packing, budget);
}

void print_choice(const EncodingChoice& choice) {
  print(stdout, "%-18s", "mean KL, nats");
  for (const EncodingCost& cost : choice.costs.front().costs) {
    print(stdout, "%12s", encoding_info(cost.encoding).name);
  }
  print(stdout, "  chosen\n");
  for (size_t i = 0; i < choice.costs.size(); ++i) {
    const MatrixCosts& matrix = choice.costs[i];
    print(stdout, "%-18s", matrix.name.c_str());
    for (const EncodingCost& cost : matrix.costs) print(stdout, "%12.2e", cost.divergence);
    print(stdout, "  %s\n", encoding_info(matrix.costs[choice.chosen[i]].encoding).name);
  }
  print(
      stdout,
      "%.3f bits per weight of these %zu matrices, sum of mean KL %.5f, measured on %lld tokens\n",
      choice.bits_per_weight, choice.costs.size(), choice.divergence,
      static_cast<long long>(choice.tokens));
}

void write_choice(JsonWriter& json, const Options& options, const EncodingChoice& choice) {
  json.begin_object("choice").member("target", options.target_bpw).member("text", options.text);
  json.member("importance", options.run.importance).member("arithmetic", options.run.arithmetic);
  json.member("bits_per_weight", choice.bits_per_weight);
  json.member("kl_sum", choice.divergence).member("tokens", choice.tokens);
  json.begin_array("matrices");
  for (size_t i = 0; i < choice.costs.size(); ++i) {
    const MatrixCosts& matrix = choice.costs[i];
    json.begin_object().member("name", matrix.name);
    json.member("encoding", encoding_info(matrix.costs[choice.chosen[i]].encoding).name);
    json.begin_array("candidates");
    for (const EncodingCost& cost : matrix.costs) {
      json.begin_object().member("encoding", encoding_info(cost.encoding).name);
      json.member("bytes", cost.bytes).member("kl_mean", cost.divergence).end_object();
    }
    json.end_array().end_object();
  }
  json.end_array().end_object();
}

Status pack_command(Options options) {
  MIDGE_ASSIGN_OR_RETURN(options.run.model, find_model(options.run.model));
  PackingOptions packing;
  packing.threads = options.run.threads;
  packing.access = file_access(options.run);
  packing.mtp_file = options.run.mtp;
  MIDGE_ASSIGN_OR_RETURN(const ExecutorOptions executor, executor_options(options.run));
  packing.isa = executor.isa;
  if (options.run.recipe.empty() && options.run.weights.empty()) {
    packing.overrides = executor.weights.overrides;
  } else {
    packing.recipe = executor.weights;
  }
  if (is_regular_file(options.out) && !is_packed_file(options.out)) {
    return make_status(StatusCode::kInvalidArgument,
                       "%s: exists and is no packed file, expected the name of a new one",
                       shown_path(options.out).c_str());
  }
  MIDGE_RETURN_IF_ERROR(check_pack_paths(options.run.model, options.out));
  Importance importance;
  if (!options.run.importance.empty()) {
    MIDGE_ASSIGN_OR_RETURN(importance, Importance::load(options.run.importance));
    packing.importance = &importance;
  }
  std::optional<EncodingChoice> choice;
  if (options.target_bpw > 0) {
    MIDGE_ASSIGN_OR_RETURN(choice, choose_by_divergence(options, packing));
    packing.recipe = choice->recipe;
    if (choice->tokens < options.text_tokens) {
      print(stderr, "midge: warning: %s has %lld tokens, fewer than --text-tokens %lld\n",
            shown_path(options.text).c_str(), static_cast<long long>(choice->tokens),
            static_cast<long long>(options.text_tokens));
    }
    if (!options.run.json) print_choice(*choice);
  }
  const auto start = std::chrono::steady_clock::now();
  Status tokenizer;
  PackingBars bars;
  bars.show(packing);
  const Result<PackedFileInfo> packed =
      pack_file(options.run.model, options.out, packing, &tokenizer);
  bars.finish();
  MIDGE_RETURN_IF_ERROR(packed.status());
  const double seconds = seconds_since(start);
  if (packing.importance != nullptr && packed->matrices_encoded == 0) {
    print(stderr, "%s", kImportanceUnused);
  }
  if (!tokenizer.ok()) {
    print(stderr, "midge: warning: packed without a tokenizer: %s\n", tokenizer.message().c_str());
  }
  if (options.run.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.pack").member("version", int64_t{1});
    json.member("model", options.run.model).member("file", options.out);
    json.member("content_id", to_hex(packed->content_id));
    json.member("bytes", static_cast<int64_t>(packed->bytes));
    json.member("has_tokenizer", tokenizer.ok()).member("seconds", seconds);
    write_acceptance_json(json, packed->mtp_acceptance);
    if (choice.has_value()) write_choice(json, options, *choice);
    json.end_object();
    print_json(json);
  } else {
    print(stdout, "%s: %.1f MB in %.1f s, content id %s\n", shown_path(options.out).c_str(),
          static_cast<double>(packed->bytes) * 1e-6, seconds, to_hex(packed->content_id).c_str());
    print_acceptance(packed->mtp_acceptance);
  }
  return Status();
}

Status verify_command(const RunOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::shared_ptr<const PackedFile> file,
                         PackedFile::open(options.model, file_access(options)));
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, open_packed_model(file));
  const bool has_tokenizer = file->find("tokenizer") != nullptr;
  if (has_tokenizer) MIDGE_RETURN_IF_ERROR(open_packed_tokenizer(file).status());
  Status status;
  {
    ProgressBar bar("verifying", ProgressBar::Unit::kMegabytes);
    status =
        verify_packed_model(*file, [&](int64_t done, int64_t total) { bar.update(done, total); });
  }
  MIDGE_RETURN_IF_ERROR(status);
  if (options.json) {
    JsonWriter json;
    json.begin_object().member("schema", "midge.verify").member("version", int64_t{1});
    json.member("file", options.model).member("content_id", to_hex(file->content_id()));
    json.member("bytes", static_cast<int64_t>(file->file_bytes())).end_object();
    print_json(json);
  } else {
    print(stdout, "%s: all %zu sections are whole, content id %s\n",
          shown_path(options.model).c_str(), file->sections().size(),
          to_hex(file->content_id()).c_str());
  }
  return Status();
}

}  // namespace

void add_pack_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<Options>();
  CommandLine* command =
      app.add_subcommand("pack", "Convert a model once into a file that opens at once");
  command
      ->add_option("MODEL", options->run.model,
                   "Hugging Face folder, GGUF file, or org/name in the Hugging Face cache")
      ->type_name("FILE")
      ->required();
  command->add_option("OUT", options->out, "File to write, NAME.midge")
      ->type_name("FILE")
      ->required();
  command
      ->add_flag("--no-mmap", options->run.no_mmap,
                 "Read the files into memory instead of mapping them")
      ->group(kMemoryGroup);
  add_threads_option(*command, options->run);
  add_weight_options(*command, options->run);
  command->get_option("--recipe")
      ->description(
          "Encode the matrices: fast (4 bits; the default for float weights), balanced (5 bits), "
          "int8, half. Without: quantised weights as in the files");
  add_mtp_option(*command, options->run);
  options->run.arithmetic = dense_backend_available() ? "xnnpack" : "float";
  CommandOption* target =
      command
          ->add_option("--target-bpw", options->target_bpw,
                       "Bits per weight, 4.5 to 8.5: choose 4, 5 or 8 bits for each matrix of the "
                       "layers by what it costs on --text; those of --tensor do not count")
          ->check(number(1, 32))
          ->excludes(command->get_option("--recipe"))
          ->excludes(command->get_option("--weights"));
  CommandOption* text =
      command->add_option("--text", options->text, "Text file like what the model will read")
          ->type_name("FILE");
  target->needs(text);
  text->needs(target);
  command
      ->add_option("--text-tokens", options->text_tokens,
                   "Tokens of the text to measure with; more take as much longer")
      ->check(whole_number(2, 1 << 20))
      ->capture_default_str()
      ->needs(target);
  takes_one_of(command->add_option("--arithmetic", options->run.arithmetic,
                                   "To measure with: float, or xnnpack, which is faster and takes "
                                   "f32 copies of the weights"),
               {"float", "xnnpack"})
      ->capture_default_str()
      ->needs(target);
  add_json_option(*command, options->run);
  command->footer(
      "  midge pack path/to/model model.midge\n"
      "  midge pack path/to/model model.midge --recipe balanced --importance model.importance\n"
      "  midge pack path/to/model model.midge --target-bpw 5 --text sample.txt\n");
  command->callback([=] { *run = [=] { return pack_command(*options); }; });
}

void add_verify_command(CommandLine& app, Command* run) {
  auto options = std::make_shared<RunOptions>();
  CommandLine* command = app.add_subcommand("verify", "Check every byte of a packed file");
  command->add_option("FILE", options->model, "Packed file (.midge)")
      ->type_name("FILE")
      ->required();
  command->add_flag("--no-mmap", options->no_mmap,
                    "Read the file into memory instead of mapping it");
  add_json_option(*command, *options);
  command->callback([=] { *run = [=] { return verify_command(*options); }; });
}

}  // namespace midge
