// midge pack, midge verify: packed files.
#include <chrono>
#include <cstdio>

#include "api/packing.h"
#include "cli/common.h"
#include "engine/core/visible.h"
#include "engine/packed/packed_model.h"

namespace midge {
namespace {

struct Options {
  RunOptions run;
  std::string out;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Status pack_command(const Options& options) {
  PackingOptions packing;
  packing.threads = options.run.threads;
  packing.access = file_access(options.run);
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
  Importance importance;
  if (!options.run.importance.empty()) {
    MIDGE_ASSIGN_OR_RETURN(importance, Importance::load(options.run.importance));
    packing.importance = &importance;
  }
  const auto start = std::chrono::steady_clock::now();
  Status tokenizer;
  Result<PackedFileInfo> packed = PackedFileInfo();
  {
    ProgressBar bar("packing", ProgressBar::Unit::kMegabytes);
    packing.on_weights = [&](int64_t done, int64_t total) { bar.update(done, total); };
    packed = pack_file(options.run.model, options.out, packing, &tokenizer);
  }
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
    json.member("has_tokenizer", tokenizer.ok()).member("seconds", seconds).end_object();
    print_json(json);
  } else {
    print(stdout, "%s: %.1f MB in %.1f s, content id %s\n", shown_path(options.out).c_str(),
          static_cast<double>(packed->bytes) * 1e-6, seconds, to_hex(packed->content_id).c_str());
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

void add_pack_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("pack", "Convert a model once into a file that opens at once");
  command->add_option("MODEL", options->run.model, "Hugging Face directory or GGUF file")
      ->required();
  command->add_option("OUT", options->out, "File to write, NAME.midge")->required();
  command->add_flag("--no-mmap", options->run.no_mmap,
                    "Read the files into memory instead of mapping them");
  command->add_option("-t,--threads", options->run.threads, "Threads (0: one per available core)")
      ->check(CLI::Range(0, 256));
  add_weight_options(*command, options->run);
  command->get_option("--recipe")
      ->description(
          "Encode the matrices: fast (4 bits; the default for float weights), balanced (5 bits), "
          "int8, half. Without: quantised weights as in the files");
  command->add_flag("--json", options->run.json, "Report as JSON");
  command->callback([=] { *run = [=] { return pack_command(*options); }; });
}

void add_verify_command(CLI::App& app, Command* run) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("verify", "Check every byte of a packed file");
  command->add_option("FILE", options->model, "Packed file (.midge)")->required();
  command->add_flag("--no-mmap", options->no_mmap,
                    "Read the file into memory instead of mapping it");
  command->add_flag("--json", options->json, "Report as JSON");
  command->callback([=] { *run = [=] { return verify_command(*options); }; });
}

}  // namespace midge
