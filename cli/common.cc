// What commands share, from options to an open model: what an option means is decided here alone.
#include "cli/common.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "api/kernel_names.h"
#include "api/model_cache.h"
#include "cli/draft_options.h"
#include "cli/find_model.h"
#include "cli/help.h"
#include "cli/option_checks.h"
#include "cli/slow_paths.h"
#include "engine/core/visible.h"
#include "engine/formats/gguf_types.h"
#include "models/synthetic.h"

namespace midge {
namespace {

// Those that matrices are made into.
constexpr Encoding kTargets[] = {Encoding::kF16,        Encoding::kQ4B32,     Encoding::kQ4B32M,
                                 Encoding::kQ5B32,      Encoding::kQ5B32M,    Encoding::kQ8B32,
                                 Encoding::kQ4B32MS256, Encoding::kQ5B32MS256};

std::string target_names() {
  std::vector<std::string> names;
  for (const Encoding encoding : kTargets) names.emplace_back(encoding_info(encoding).name);
  return list_of(names);
}

// By midge's name or GGUF's, in any case.
Result<Encoding> encoding_of_name(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (int i = 0; i < kEncodingCount; ++i) {
    const auto encoding = static_cast<Encoding>(i);
    if (name == gguf_type_name(encoding)) return encoding;
  }
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Encoding encoding = Encoding::kF32;
  if (find_encoding(name, &encoding)) return encoding;
  return make_status(StatusCode::kInvalidArgument, "no encoding '%s', expected %s",
                     printable(name).c_str(), target_names().c_str());
}

OptionCheck encoding_check() {
  return OptionCheck([](const std::string& text) -> std::string {
    const Result<Encoding> encoding = encoding_of_name(text);
    const bool is_target = encoding.ok() && std::find(std::begin(kTargets), std::end(kTargets),
                                                      *encoding) != std::end(kTargets);
    return is_target ? std::string() : "is '" + printable(text) + "', expected " + target_names();
  });
}

Result<std::pair<int32_t, float>> parse_logit_bias(const std::string& text) {
  const size_t split = text.find('=');
  int32_t id = 0;
  if (split != std::string::npos) {
    const char* end = text.data() + split;
    const auto parsed = std::from_chars(text.data(), end, id);
    char* rest = nullptr;
    const float bias = std::strtof(end + 1, &rest);
    if (parsed.ec == std::errc() && parsed.ptr == end && *rest == '\0' && rest != end + 1) {
      return std::pair(id, bias);
    }
  }
  return make_status(StatusCode::kInvalidArgument, "logit bias '%s', expected ID=NUMBER",
                     printable(text).c_str());
}

Residency residency(const RunOptions& options) {
  if (options.lock) return Residency::kLocked;
  return options.budget.empty() ? Residency::kLazy : Residency::kResident;
}

SequenceOptions session_options(const RunOptions& options) {
  SequenceOptions session;
  session.context_length = options.context_length;
  session.batch_rows = options.batch_rows;
  session.residency = residency(options);
  session.kv_type = *kv_type_from_name(options.kv_type);  // one that the option lets through
  session.rope = options.rope == "short"  ? RopeMode::kShort
                 : options.rope == "long" ? RopeMode::kLong
                                          : RopeMode::kAuto;
  return session;
}

}  // namespace

void add_model_option(CommandLine& app, RunOptions& options) {
  app.add_option("-m,--model,MODEL", options.model,
                 "A .midge file, a GGUF file, a Hugging Face folder, org/name in the Hugging Face "
                 "cache, tiny-mimo or tiny-phi (default: the bundled tiny-phi)")
      ->type_name("FILE");
  add_no_mmap_option(app, options);
}

void add_no_mmap_option(CommandLine& app, RunOptions& options) {
  app.add_flag("--no-mmap", options.no_mmap, "Read the files into memory instead of mapping them")
      ->group(kMemoryGroup);
}

void add_json_option(CommandLine& app, RunOptions& options) {
  app.add_flag("--json", options.json, "Report as JSON on standard output");
}

void add_quiet_option(CommandLine& app, RunOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, "Nothing beside the answer but warnings and errors");
}

void add_cores_options(CommandLine& app, RunOptions& options) {
  app.add_option(
         "--cores", options.cores,
         "Cores to run on: a list such as 0-3,6; prime: the fastest cluster; big: those with half "
         "of its speed; all (default: chosen)")
      ->type_name("LIST")
      ->group(kCoresGroup);
  app.add_flag("--no-pin", options.no_pin,
               "Let the system place the threads, and keep their number when cores are busy")
      ->group(kCoresGroup);
}

void add_threads_option(CommandLine& app, RunOptions& options) {
  app.add_option("-t,--threads", options.threads,
                 "Threads; 0: as many as help, by measured rates; see midge cpu")
      ->check(whole_number(0, 256));
}

void add_kernel_options(CommandLine& app, RunOptions& options) {
  app.add_option("--isa", options.isa, "Highest instruction set level to use; see midge cpu")
      ->type_name("LEVEL")
      ->group(kKernelsGroup);
  app.add_option("--kernel", options.kernels, "Prefer kernels whose names match this glob")
      ->type_name("GLOB")
      ->group(kKernelsGroup);
  app.add_flag("--no-calibration", options.no_calibration,
               "Choose kernels by level, not by measured rates (as with --isa and --kernel)")
      ->group(kKernelsGroup);
  app.add_option("--cache-dir", options.cache_dir,
                 "Folder that keeps measured rates and packed files; empty: none (default: "
                 "$XDG_CACHE_HOME/midge or ~/.cache/midge)")
      ->type_name("DIR")
      ->group(kKernelsGroup);
}

void add_weight_options(CommandLine& app, RunOptions& options) {
  auto* weights =
      app.add_option("--weights", options.weights,
                     "Encode every matrix first, as q4b32, q8b32 ... or by the name that GGUF "
                     "gives, as Q4_0 (default: as in the files)");
  weights->type_name("ENCODING")->check(encoding_check())->group(kWeightsGroup);
  takes_one_of(
      app.add_option("--recipe", options.recipe,
                     "Encode the matrices first: fast 4 bits, balanced 5, int8 8, half 16"),
      {"fast", "balanced", "int8", "half"})
      ->excludes(weights)
      ->group(kWeightsGroup);
  app.add_option("--tensor", options.tensors,
                 "Encoding of the matrices that match, as 'layers.*.down=q8b32': of q, k, v, o, "
                 "gate, up, down of layers, of head, embedding or mtp.NAME; beside what the other "
                 "options say; repeatable")
      ->allow_extra_args(false)
      ->type_name("PATTERN=ENCODING")
      ->group(kWeightsGroup);
  app.add_option("--importance", options.importance,
                 "File of 'midge importance': weighs errors by what their channels are worth")
      ->type_name("FILE")
      ->group(kWeightsGroup);
}

void add_run_options(CommandLine& app, RunOptions& options) {
  add_model_option(app, options);
  add_run_settings(app, options);
}

void add_run_settings(CommandLine& app, RunOptions& options) {
  add_threads_option(app, options);
  add_cores_options(app, options);
  app.add_option("-c,--context", options.context_length,
                 "Context in tokens; 0: the model's, at most 4096")
      ->check(whole_number(0));
  app.add_flag("--no-huge-pages", options.no_huge_pages,
               "Keep the packed weights in pages of the usual size")
      ->group(kMemoryGroup);
  takes_one_of(app.add_option("--arithmetic", options.arithmetic,
                              "How matrices are multiplied: packed, int8 activations on packed "
                              "weights; float, f32 on the weights in place, a slow reference; "
                              "xnnpack, float weights through XNNPACK"),
               {"packed", "float", "xnnpack"})
      ->group(kKernelsGroup)
      ->capture_default_str();
  add_weight_options(app, options);
  add_kernel_options(app, options);
  takes_one_of(app.add_option("--kv", options.kv_type, "Type of the KV cache"),
               {"f16", "f32", "int8", "k8v4"})
      ->group(kMemoryGroup)
      ->capture_default_str();
  app.add_flag("--no-cache", options.no_cache,
               "Pack anew each time: without, models whose files take 500 MB and more are packed "
               "once, into the cache folder")
      ->group(kMemoryGroup);
  app.add_option("--cache-size", options.cache_size, "Most that packed files there may take")
      ->type_name("SIZE")
      ->group(kMemoryGroup)
      ->capture_default_str();
  app.add_option("--budget", options.budget,
                 "Most memory to take, as '2GiB': refused if it does not fit, see midge plan")
      ->type_name("SIZE")
      ->group(kMemoryGroup);
  app.add_flag("--lock", options.lock,
               "Keep weights, cache and scratch in memory: the system takes none of it away")
      ->group(kMemoryGroup);
  takes_one_of(app.add_option("--rope", options.rope, "Factors of longrope models"),
               {"auto", "short", "long"})
      ->group(kKernelsGroup)
      ->capture_default_str();
}

void add_sample_options(CommandLine& app, SampleOptions& options) {
  SamplerOptions& sampler = options.sampler;
  app.add_option("-n,--tokens", options.tokens_max, "Most tokens to generate")
      ->check(whole_number(1))
      ->capture_default_str();
  app.add_option("--temp", sampler.temperature, "Temperature; 0 takes the best token")
      ->check(number(0))
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "Seed of the sampling (default: drawn, and shown, where --temp is above 0)")
      ->type_name("N")
      ->check(whole_number(0));
  app.add_option("--stop", options.stop_strings, "Text that ends the output; repeatable")
      ->check(not_empty())
      ->allow_extra_args(false);
  app.add_option("--top-k", sampler.top_k, "Keep the k best tokens; 0 keeps all")
      ->check(whole_number(0, INT32_MAX))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "Keep the best tokens up to this probability mass")
      ->check(number_above(0, 1))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "Drop tokens below this share of the best one")
      ->check(number(0, 1))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--repetition-penalty", sampler.repetition_penalty,
                 "Divides the logits of tokens seen before")
      ->check(number_above(0))
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--presence-penalty", sampler.presence_penalty,
                 "Subtracted from logits of tokens in the output")
      ->check(number())
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--frequency-penalty", sampler.frequency_penalty,
                 "Subtracted per occurrence in the output")
      ->check(number())
      ->group(kSamplingGroup)
      ->capture_default_str();
  app.add_option("--logit-bias", options.logit_bias, "Added to the logit of a token; repeatable")
      ->allow_extra_args(false)
      ->type_name("ID=NUMBER")
      ->group(kSamplingGroup);
}

Status with_context_hint(const Status& status, const OpenedModel& loaded) {
  const int64_t longest = loaded.model->model().config().context_length;
  if (status.code() != StatusCode::kContextFull || loaded.session->context_length() >= longest) {
    return status;
  }
  return make_status(StatusCode::kContextFull, "%s; -c N makes it larger, up to %lld tokens",
                     status.message().c_str(), static_cast<long long>(longest));
}

size_t context_tokens(const OpenedModel& loaded) {
  return static_cast<size_t>(loaded.session->context_length());
}

bool calibrates(const RunOptions& options) {
  return !options.no_calibration && options.isa.empty() && options.kernels.empty();
}

std::string cache_dir(const RunOptions& options) {
  if (options.cache_dir.has_value()) return *options.cache_dir;
  // The XDG Base Directory Specification: paths that are not absolute are to be ignored.
  for (const auto& [variable, folder] :
       {std::pair("XDG_CACHE_HOME", "midge"), std::pair("HOME", ".cache/midge")}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && value[0] == '/') return join_path(value, folder);
  }
  return {};
}

Result<WeightRecipe> weight_recipe(const RunOptions& options) {
  WeightRecipe recipe;
  if (!options.recipe.empty()) {
    MIDGE_ASSIGN_OR_RETURN(recipe, recipe_from_name(options.recipe));
  } else if (!options.weights.empty()) {
    MIDGE_ASSIGN_OR_RETURN(const Encoding encoding, encoding_of_name(options.weights));
    recipe = encoding;
  }
  for (const std::string& text : options.tensors) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return make_status(StatusCode::kInvalidArgument,
                         "--tensor is '%s', expected PATTERN=ENCODING", printable(text).c_str());
    }
    MIDGE_ASSIGN_OR_RETURN(const Encoding encoding, encoding_of_name(text.substr(equals + 1)));
    recipe.overrides.emplace_back(text.substr(0, equals), encoding);
  }
  return recipe;
}

Result<ExecutorOptions> executor_options(const RunOptions& options) {
  ExecutorOptions executor;
  executor.threads = options.threads;
  executor.cores = options.cores;
  executor.pins = !options.no_pin;
  executor.arithmetic = options.arithmetic == "float"     ? Arithmetic::kFloat
                        : options.arithmetic == "xnnpack" ? Arithmetic::kXnnpack
                                                          : Arithmetic::kPacked;
  MIDGE_ASSIGN_OR_RETURN(executor.weights, weight_recipe(options));
  MIDGE_ASSIGN_OR_RETURN(const KernelChoice choice, kernel_choice(options.isa, options.kernels));
  executor.isa = choice.features;
  executor.kernels = options.kernels;
  executor.huge_pages = !options.no_huge_pages;
  executor.residency = residency(options);
  executor.calibrate = calibrates(options);
  executor.cache_dir = cache_dir(options);
  executor.rows_max = options.batch_rows;
  executor.context_max = options.context_length;
  executor.logit_rows_max = options.logit_rows;
  if (options.drafter != "none") {
    executor.logit_rows_max = std::max(executor.logit_rows_max, 1 + options.drafts_max);
  }
  return executor;
}

FileAccess file_access(const RunOptions& options) {
  return options.no_mmap ? FileAccess::kCopy : FileAccess::kMap;
}

CopyProgress CopyProgressBar::callback() {
  return [this](const std::string& path, uint64_t done, uint64_t total) {
    if (bar_ == nullptr || path_ != path) {
      path_ = path;
      bar_.reset();  // erased before the next one is drawn
      bar_ = std::make_unique<ProgressBar>(
          "reading " + shown_path(std::filesystem::path(path).filename().string()),
          ProgressBar::Unit::kMegabytes);
    }
    bar_->update(static_cast<int64_t>(done), static_cast<int64_t>(total));
  };
}

Result<int64_t> parse_size(const std::string& text) {
  struct Unit {
    std::string_view name;
    double bytes;
  };
  static constexpr Unit kUnits[] = {{"B", 1},        {"KB", 1e3},      {"MB", 1e6},     {"GB", 1e9},
                                    {"KIB", 1024.0}, {"MIB", 1 << 20}, {"GIB", 1 << 30}};
  char* rest = nullptr;
  const double number = std::strtod(text.c_str(), &rest);
  std::string unit(rest);
  unit.erase(0, unit.find_first_not_of(' '));
  for (char& c : unit) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  for (const Unit& known : kUnits) {
    const double bytes = number * known.bytes;
    if (rest != text.c_str() && unit == known.name && bytes >= 1 && bytes < 9e18) {
      return static_cast<int64_t>(bytes);
    }
  }
  return make_status(StatusCode::kInvalidArgument,
                     "size '%s', expected a number and its unit: KB, MB, GB, KiB, MiB or GiB",
                     printable(text).c_str());
}

Result<LoadOptions> load_options(const RunOptions& options) {
  LoadOptions load;
  load.access = file_access(options);
  load.needs_tokenizer = options.needs_tokenizer;
  MIDGE_ASSIGN_OR_RETURN(load.executor, executor_options(options));
  load.sequence = session_options(options);
  load.drafts = draft_options(options);
  if (!options.budget.empty()) {
    MIDGE_ASSIGN_OR_RETURN(load.memory_budget, parse_size(options.budget));
  }
  return load;
}

namespace {

// The packed file that stands for the model at `path`; empty: none. A cache that cannot be written
// is no reason to fail.
Result<std::string> cached_path(const RunOptions& options, const std::string& path,
                                const LoadOptions& load) {
  if (options.no_cache || load.executor.arithmetic != Arithmetic::kPacked || options.no_mmap) {
    return std::string();
  }
  const std::string folder = cache_dir(options);
  if (folder.empty()) return std::string();
  ModelCacheOptions cache;
  cache.folder = join_path(folder, "models");
  MIDGE_ASSIGN_OR_RETURN(const int64_t size, parse_size(options.cache_size));
  cache.bytes_max = static_cast<uint64_t>(size);
  // Weights that stay as they are need no second file, and too large a one has no place.
  cache.wants_pack = [&]() -> Result<bool> {
    LoadOptions without_text = load;
    without_text.needs_tokenizer = false;
    MIDGE_ASSIGN_OR_RETURN(const MemoryPlan plan, plan_memory(path, without_text));
    return plan.executor.weights_copied > plan.executor.weights_in_place &&
           plan.executor.weights_copied <= size;
  };
  PackingOptions packing;
  packing.recipe = load.executor.weights;
  packing.importance = load.executor.importance;
  packing.threads = options.threads;
  packing.isa = load.executor.isa;
  std::optional<ProgressBar> bar;
  cache.on_pack = [&](const std::string& file, uint64_t bytes) {
    print(stderr, "packing %.1f GB once, into %s (--no-cache: never)\n",
          static_cast<double>(bytes) * 1e-9, shown_path(file).c_str());
    bar.emplace("packing", ProgressBar::Unit::kMegabytes);
  };
  packing.on_weights = [&](int64_t done, int64_t total) { bar->update(done, total); };
  cache.on_remove = [&](const std::string& removed) {
    bar.reset();
    print(stderr, "removed from the cache (--cache-size): %s\n", shown_path(removed).c_str());
  };
  Result<std::string> file = cached_model(path, packing, cache);
  bar.reset();
  if (file.ok() || file.status().code() != StatusCode::kIoError) return file;
  print(stderr, "midge: warning: going on without the cache: %s\n",
        file.status().message().c_str());
  return std::string();
}

}  // namespace

Result<OpenedModel> load_model(const RunOptions& options) {
  OpenedModel opened;
  MIDGE_ASSIGN_OR_RETURN(opened.model, load_model_alone(options));
  SequenceOptions session = session_options(options);
  DraftOptions drafts = draft_options(options);
  session.mtp = Speculation::uses_mtp(drafts, opened.model->model().config());
  if (session.mtp) session.kv_page_tokens = kDraftPageTokens;
  MIDGE_ASSIGN_OR_RETURN(opened.session, opened.model->new_session(session));
  if (drafts.drafter == Drafter::kNone) return opened;
  MIDGE_ASSIGN_OR_RETURN(const std::vector<uint32_t> counts, token_counts(options));
  drafts.token_counts = counts;
  MIDGE_ASSIGN_OR_RETURN(opened.speculation,
                         Speculation::create(opened.model->executor(), drafts, 1));
  return opened;
}

Result<std::unique_ptr<LoadedModel>> load_model_alone(const RunOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::string path, find_model(options.model));
  CopyProgressBar copy_bar;
  std::optional<ProgressBar> weights_bar;
  MIDGE_ASSIGN_OR_RETURN(LoadOptions load, load_options(options));
  Importance importance;
  std::vector<uint32_t> counts;
  if (!options.importance.empty()) {
    MIDGE_ASSIGN_OR_RETURN(importance, Importance::load(options.importance));
    load.executor.importance = &importance;
    counts = importance.token_counts();
    load.drafts.token_counts = counts;
    const bool is_used = options.drafter != "none" && !counts.empty();
    if (load.executor.weights.is_empty() && !is_used) print(stderr, "%s", kImportanceUnused);
  }
  load.on_copy = copy_bar.callback();
  load.on_weights = [&](int64_t done, int64_t total) {
    copy_bar.finish();
    if (!weights_bar.has_value()) weights_bar.emplace("loading");
    weights_bar->update(done, total);
  };
  MIDGE_ASSIGN_OR_RETURN(const std::string cached, cached_path(options, path, load));
  if (!cached.empty()) {
    // What they asked for is in the file.
    load.executor.weights = WeightRecipe();
    load.executor.importance = nullptr;
  }
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<LoadedModel> model,
                         LoadedModel::open(cached.empty() ? path : cached, load));
  copy_bar.finish();
  weights_bar.reset();
  for (const std::string& warning : model->model().warnings()) {
    print(stderr, "midge: warning: %s: %s\n", shown_path(path).c_str(), warning.c_str());
  }
  const int64_t packed_bytes = model->executor().packed_bytes();
  if (packed_bytes > 0 && !options.quiet) {
    print(stderr, "packed weights: %.1f MB of memory\n", static_cast<double>(packed_bytes) * 1e-6);
  }
  const std::string slow =
      load.executor.arithmetic == Arithmetic::kPacked ? slow_path_note(*model) : "";
  if (!slow.empty()) print(stderr, "midge: warning: %s\n", slow.c_str());
  return model;
}

Result<Encoding> synthetic_encoding(const RunOptions& options) {
  if (options.weights.empty()) return Encoding::kQ4B32;
  return encoding_of_name(options.weights);
}

Result<std::unique_ptr<LoadedModel>> load_synthetic(const std::string& name,
                                                    const RunOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(LoadOptions load, load_options(options));
  MIDGE_ASSIGN_OR_RETURN(
      WorkerTeam team,
      WorkerTeam::create(TeamOptions{{options.threads, options.cores}, !options.no_pin, {}}));
  load.executor.team = std::make_shared<const WorkerTeam>(std::move(team));
  load.executor.weights = WeightRecipe();
  MIDGE_ASSIGN_OR_RETURN(const Encoding encoding, synthetic_encoding(options));
  std::optional<ProgressBar> bar;
  if (!options.quiet) bar.emplace("making " + name, ProgressBar::Unit::kMegabytes);
  const auto progress = [&](int64_t done, int64_t total) {
    if (bar.has_value()) bar->update(done, total);
  };
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Model> model,
                         synthetic_model(name, encoding, *load.executor.team, progress));
  return LoadedModel::adopt("synthetic " + name, std::move(model), load);
}

Result<GenerateOptions> make_generate_options(const SampleOptions& options,
                                              const OpenedModel& loaded) {
  GenerateOptions generate;
  generate.tokens_max = options.tokens_max;
  generate.stop_strings = options.stop_strings;
  generate.sampler = options.sampler;
  generate.sampler.seed = options.seed.value_or(0);
  for (const std::string& text : options.logit_bias) {
    MIDGE_ASSIGN_OR_RETURN(const auto bias, parse_logit_bias(text));
    generate.sampler.logit_bias.push_back(bias);
  }
  MIDGE_ASSIGN_OR_RETURN(generate.stop_ids, loaded.model->stop_ids());
  return generate;
}

void warn_of_unused(const SampleOptions& options) {
  const SamplerOptions& sampler = options.sampler;
  if (sampler.temperature > 0) return;
  const SamplerOptions defaults;
  std::string unused;
  for (const auto& [name, is_set] : {std::pair("--top-k", sampler.top_k != defaults.top_k),
                                     std::pair("--top-p", sampler.top_p != defaults.top_p),
                                     std::pair("--min-p", sampler.min_p != defaults.min_p),
                                     std::pair("--seed", options.seed.has_value())}) {
    if (is_set) unused += (unused.empty() ? "" : ", ") + std::string(name);
  }
  if (unused.empty()) return;
  print(stderr, "midge: warning: without --temp the best token is taken: no effect of %s\n",
        unused.c_str());
}

std::optional<uint64_t> draw_seed(const RunOptions& run, const SampleOptions& options) {
  if (options.seed.has_value() || options.sampler.temperature <= 0) return options.seed;
  const uint64_t seed = std::random_device()();
  if (!run.quiet) print(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

void report_speed(const GenerateResult& result) {
  print(stderr, "prompt %lld tokens, %.1f tok/s; output %zu tokens, %.1f tok/s (%s)\n",
        static_cast<long long>(result.prompt_tokens), result.prompt_tokens_per_second(),
        result.tokens.size(), result.decode_tokens_per_second(), finish_reason_name(result.reason));
}

void write_memory(JsonWriter& json, const OpenedModel& loaded) {
  json.begin_object("memory");
  // Mapped and shared, or with --no-mmap a copy of the files.
  json.member("file_bytes", static_cast<int64_t>(loaded.model->model().storage().file_bytes()));
  json.member("kv_bytes", loaded.session->kv_bytes());
  json.member("scratch_bytes", loaded.model->executor().scratch_bytes());
  json.member("packed_bytes", loaded.model->executor().packed_bytes()).end_object();
}

void write_sampling(JsonWriter& json, const SamplerOptions& options) {
  const auto number = [&](const char* name, float value) {
    json.member(name, static_cast<double>(value));
  };
  json.begin_object("sampling");
  number("temperature", options.temperature);
  json.member("top_k", int64_t{options.top_k});
  number("top_p", options.top_p);
  number("min_p", options.min_p);
  number("repetition_penalty", options.repetition_penalty);
  number("presence_penalty", options.presence_penalty);
  number("frequency_penalty", options.frequency_penalty);
  // As text: JSON readers lose the low bits of large integers.
  json.member("seed", std::to_string(options.seed));
  json.begin_array("logit_bias");
  for (const auto& [id, bias] : options.logit_bias) {
    json.begin_object().member("token", int64_t{id});
    number("bias", bias);
    json.end_object();
  }
  json.end_array().end_object();
}

void write_result(JsonWriter& json, const GenerateResult& result) {
  json.member("reason", finish_reason_name(result.reason)).member("text", result.text);
  json.begin_array("tokens");
  for (const GeneratedToken& token : result.tokens) json.element(int64_t{token.token});
  json.end_array();
  bool has_logprobs = false;
  for (const GeneratedToken& token : result.tokens) has_logprobs |= token.alternative_count > 0;
  if (has_logprobs) {
    json.begin_array("logprobs");
    for (const GeneratedToken& token : result.tokens) {
      json.begin_object().member("token", int64_t{token.token});
      json.member("logprob", static_cast<double>(token.logprob)).begin_array("best");
      for (const TokenLogprob& other : result.alternatives_of(token)) {
        json.begin_object().member("token", int64_t{other.token});
        json.member("logprob", static_cast<double>(other.logprob)).end_object();
      }
      json.end_array().end_object();
    }
    json.end_array();
  }
  json.member("prompt_tokens", result.prompt_tokens)
      .member("prompt_seconds", result.prompt_seconds)
      .member("decode_seconds", result.decode_seconds)
      .member("prompt_tokens_per_second", result.prompt_tokens_per_second())
      .member("decode_tokens_per_second", result.decode_tokens_per_second());
}

void print_json(const JsonWriter& json) {
  print_document(json.text());
  print(stdout, "\n");
}

}  // namespace midge
