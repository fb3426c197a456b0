#include "cli/common.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "api/kernel_names.h"
#include "api/model_cache.h"
#include "engine/core/visible.h"

namespace midge {
namespace {

constexpr const char* kBundledModel = "tiny-phi";

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

void add_model_option(CLI::App& app, RunOptions& options) {
  app.add_option("MODEL", options.model,
                 "Packed file (.midge), Hugging Face directory or GGUF file (default: the bundled "
                 "tiny-phi)");
  app.add_flag("--no-mmap", options.no_mmap, "Read the files into memory instead of mapping them");
}

void add_kernel_options(CLI::App& app, RunOptions& options) {
  app.add_option("--isa", options.isa, "Highest instruction set level to use (see midge cpu)");
  app.add_option("--kernel", options.kernels, "Prefer kernels whose names match this glob");
  app.add_flag("--no-calibration", options.no_calibration,
               "Choose kernels by level, not by measured rates (as with --isa and --kernel)");
  app.add_option(
      "--cache-dir", options.cache_dir,
      "Folder that keeps measured rates and packed files (default: $XDG_CACHE_HOME/midge or "
      "~/.cache/midge; empty: none)");
}

void add_weight_options(CLI::App& app, RunOptions& options) {
  app.add_option("--weights", options.weights,
                 "Encode the matrices first (default: as in the files)")
      ->check(CLI::IsMember(
          {"f16", "q4b32", "q4b32m", "q5b32", "q5b32m", "q8b32", "q4b32ms256", "q5b32ms256"}));
  app.add_option("--recipe", options.recipe,
                 "Encode the matrices first: fast (4 bits), balanced (5 bits), int8, half")
      ->check(CLI::IsMember({"fast", "balanced", "int8", "half"}))
      ->excludes("--weights");
  app.add_option(
         "--tensor", options.tensors,
         "Encoding of the matrices that match, as 'layers.*.down=q8b32': of q, k, v, o, gate, up, "
         "down of layers, of head, embedding or mtp.NAME; beside what the other options say; can "
         "be "
         "repeated")
      ->allow_extra_args(false);
  app.add_option("--importance", options.importance,
                 "File of 'midge importance': weighs errors by what their channels are worth");
}

void add_run_options(CLI::App& app, RunOptions& options) {
  add_model_option(app, options);
  app.add_option("-t,--threads", options.threads, "Threads (0: one per available core)")
      ->check(CLI::Range(0, 256));
  app.add_option("-c,--context", options.context_length,
                 "Context in tokens (0: the model's, at most 4096)")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--no-huge-pages", options.no_huge_pages,
               "Keep the packed weights in pages of the usual size");
  app.add_option("--arithmetic", options.arithmetic,
                 "packed: int8 activations on packed weights; float: f32 on the weights in place "
                 "(slow reference); xnnpack: float weights through XNNPACK")
      ->check(CLI::IsMember({"packed", "float", "xnnpack"}))
      ->capture_default_str();
  add_weight_options(app, options);
  add_kernel_options(app, options);
  app.add_option("--kv", options.kv_type, "Type of the KV cache")
      ->check(CLI::IsMember({"f16", "f32", "int8", "k8v4"}))
      ->capture_default_str();
  app.add_flag("--no-cache", options.no_cache,
               "Pack anew each time: without, models whose files take 500 MB and more are packed "
               "once, into the cache folder");
  app.add_option("--cache-size", options.cache_size, "Most that packed files there may take")
      ->capture_default_str();
  app.add_option("--budget", options.budget,
                 "Most memory to take, as '2GiB': refused if it does not fit, see midge plan");
  app.add_flag("--lock", options.lock,
               "Keep weights, cache and scratch in memory: the system takes none of it away");
  app.add_option("--rope", options.rope, "Factors of longrope models")
      ->check(CLI::IsMember({"auto", "short", "long"}))
      ->capture_default_str();
}

void add_sample_options(CLI::App& app, SampleOptions& options) {
  SamplerOptions& sampler = options.sampler;
  app.add_option("-n,--tokens", options.tokens_max, "Most tokens to generate")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--temp", sampler.temperature, "Temperature; 0 takes the best token")
      ->capture_default_str();
  app.add_option("--top-k", sampler.top_k, "Keep the k best tokens; 0 keeps all")
      ->capture_default_str();
  app.add_option("--top-p", sampler.top_p, "Keep the best tokens up to this probability mass")
      ->capture_default_str();
  app.add_option("--min-p", sampler.min_p, "Drop tokens below this share of the best one")
      ->capture_default_str();
  app.add_option("--repetition-penalty", sampler.repetition_penalty,
                 "Divides the logits of tokens seen before")
      ->capture_default_str();
  app.add_option("--presence-penalty", sampler.presence_penalty,
                 "Subtracted from logits of tokens in the output")
      ->capture_default_str();
  app.add_option("--frequency-penalty", sampler.frequency_penalty,
                 "Subtracted per occurrence in the output")
      ->capture_default_str();
  app.add_option("--logit-bias", options.logit_bias,
                 "ID=NUMBER, added to a token's logit (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--stop", options.stop_strings, "Text that ends the output (repeatable)")
      ->allow_extra_args(false);
  app.add_option("--seed", sampler.seed, "Seed of the sampling")->capture_default_str();
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

namespace {

Result<Encoding> encoding_of_name(std::string_view name) {
  Encoding encoding = Encoding::kF32;
  if (find_encoding(name, &encoding)) return encoding;
  return make_status(StatusCode::kInvalidArgument, "no encoding '%s'", printable(name).c_str());
}

}  // namespace

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
  return executor;
}

Result<std::string> bundled_model_path(const std::string& name) {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path folder = program.parent_path();
  // Build tree (a link made at configure time) and installed tree.
  for (const char* share : {"share/midge/models", "../share/midge/models"}) {
    const std::filesystem::path path = (folder / share / name).lexically_normal();
    if (is_directory(path.string())) return path.string();
  }
  return make_status(StatusCode::kNotFound,
                     "the bundled model '%s' is not beside the program in %s", name.c_str(),
                     folder.string().c_str());
}

Result<std::string> model_path(const RunOptions& options) {
  if (!options.model.empty()) return options.model;
  return bundled_model_path(kBundledModel);
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
  MIDGE_ASSIGN_OR_RETURN(const std::string path, model_path(options));
  CopyProgressBar copy_bar;
  std::optional<ProgressBar> weights_bar;
  MIDGE_ASSIGN_OR_RETURN(LoadOptions load, load_options(options));
  Importance importance;
  if (!options.importance.empty()) {
    MIDGE_ASSIGN_OR_RETURN(importance, Importance::load(options.importance));
    load.executor.importance = &importance;
    if (load.executor.weights.is_empty()) print(stderr, "%s", kImportanceUnused);
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
  OpenedModel opened;
  MIDGE_ASSIGN_OR_RETURN(opened.model, LoadedModel::open(cached.empty() ? path : cached, load));
  MIDGE_ASSIGN_OR_RETURN(opened.session, opened.model->new_session(session_options(options)));
  copy_bar.finish();
  weights_bar.reset();
  for (const std::string& warning : opened.model->model().warnings()) {
    print(stderr, "midge: warning: %s: %s\n", shown_path(path).c_str(), warning.c_str());
  }
  const int64_t packed_bytes = opened.model->executor().packed_bytes();
  if (packed_bytes > 0) {
    print(stderr, "packed weights: %.1f MB of memory\n", static_cast<double>(packed_bytes) * 1e-6);
  }
  return opened;
}

Result<GenerateOptions> make_generate_options(const SampleOptions& options,
                                              const OpenedModel& loaded) {
  GenerateOptions generate;
  generate.tokens_max = options.tokens_max;
  generate.stop_strings = options.stop_strings;
  generate.sampler = options.sampler;
  for (const std::string& text : options.logit_bias) {
    MIDGE_ASSIGN_OR_RETURN(const auto bias, parse_logit_bias(text));
    generate.sampler.logit_bias.push_back(bias);
  }
  MIDGE_ASSIGN_OR_RETURN(generate.stop_ids, loaded.model->stop_ids());
  return generate;
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
