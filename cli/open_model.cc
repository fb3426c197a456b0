#include "cli/open_model.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "api/kernel_names.h"
#include "api/model_cache.h"
#include "cli/draft_options.h"
#include "cli/encoding_option.h"
#include "cli/find_model.h"
#include "cli/slow_paths.h"
#include "engine/core/visible.h"
#include "models/synthetic.h"

namespace midge {
namespace {

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

void PackingBars::show(PackingOptions& options) {
  options.on_weights = [this](int64_t done, int64_t total) {
    if (!bar_.has_value()) bar_.emplace("packing", ProgressBar::Unit::kMegabytes);
    bar_->update(done, total);
  };
  options.on_mtp = [this](int64_t done, int64_t total) {
    if (!std::exchange(measures_, true)) {
      bar_.reset();  // erased before the next one is drawn
      bar_.emplace("measuring drafts");
      watch_interrupts();
    }
    bar_->update(done, total);
    return !interrupted();
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
  load.mtp_file = options.mtp;
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
  packing.mtp_file = load.mtp_file;
  packing.importance = load.executor.importance;
  packing.threads = options.threads;
  packing.isa = load.executor.isa;
  packing.needs_tokenizer = load.needs_tokenizer;
  PackingBars bars;
  bars.show(packing);
  cache.on_pack = [&](const std::string& file, uint64_t bytes) {
    print(stderr, "packing %.1f GB once, into %s (--no-cache: never)\n",
          static_cast<double>(bytes) * 1e-9, shown_path(file).c_str());
  };
  cache.on_remove = [&](const std::string& removed) {
    bars.finish();
    print(stderr, "removed from the cache (--cache-size): %s\n", shown_path(removed).c_str());
  };
  Result<std::string> file = cached_model(path, packing, cache);
  bars.finish();
  // What is not supported is so without the cache too, but for what has no place in a packed file.
  const StatusCode code = file.status().code();
  if (code != StatusCode::kIoError && code != StatusCode::kUnsupported) return file;
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
    load.mtp_file.clear();
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
  for (const auto& [name, is_set] : {std::pair("--recipe", !options.recipe.empty()),
                                     std::pair("--tensor", !options.tensors.empty()),
                                     std::pair("--importance", !options.importance.empty())}) {
    if (!is_set) continue;
    return make_status(StatusCode::kInvalidArgument,
                       "%s does not go with --synthetic: all its weights are of one encoding, "
                       "that of --weights",
                       name);
  }
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

}  // namespace midge
