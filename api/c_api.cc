// The functions of include/midge/midge.h, but for requests (c_request.cc).
#include <cmath>
#include <new>

#include "api/c_handles.h"
#include "api/kernel_names.h"
#include "engine/core/check.h"

namespace midge {

midge_status CHandle::fail(const Status& status) {
  const std::lock_guard lock(mutex_);
  error_ = status.message();
  return static_cast<midge_status>(status.code());
}

std::string CHandle::last_error() {
  const std::lock_guard lock(mutex_);
  return error_;
}

Status null_argument(const char* name) {
  return make_status(StatusCode::kInvalidArgument, "%s is null", name);
}

midge_model* as_model(midge_model* handle) {
  return handle != nullptr && handle->tag == CHandle::Tag::kModel ? handle : nullptr;
}

midge_engine* as_engine(midge_engine* handle) {
  return handle != nullptr && handle->tag == CHandle::Tag::kEngine ? handle : nullptr;
}

namespace {

void put_text(std::string_view text, char* out, size_t out_bytes) {
  const size_t count = std::min(text.size(), out_bytes - 1);
  std::copy_n(text.begin(), count, out);
  out[count] = '\0';
}

midge_status tell(const Status& status, midge_error* error) {
  if (error != nullptr) {
    error->status = static_cast<midge_status>(status.code());
    put_text(status.message(), error->text, sizeof(error->text));
  }
  return static_cast<midge_status>(status.code());
}

// As guarded(), where there is no handle.
template <typename Body>
midge_status guarded_opening(midge_error* error, const Body& body) {
  MIDGE_TRY { return tell(body(), error); }
  MIDGE_CATCH(const std::bad_alloc&) {
    return tell(Status(StatusCode::kOutOfMemory, "no memory"), error);
  }
  MIDGE_CATCH(...) {
    return tell(Status(StatusCode::kInternal, "an exception inside of midge"), error);
  }
}

const char* or_empty(const char* text) { return text == nullptr ? "" : text; }

Result<Arithmetic> arithmetic_from_name(std::string_view name) {
  if (name.empty() || name == "packed") return Arithmetic::kPacked;
  if (name == "float") return Arithmetic::kFloat;
  if (name == "xnnpack") return Arithmetic::kXnnpack;
  return make_status(StatusCode::kInvalidArgument,
                     "arithmetic '%s', expected packed, float or xnnpack", printable(name).c_str());
}

Result<ExecutorOptions> executor_options(const midge_model_options& given) {
  ExecutorOptions options;
  if (given.recipe != nullptr) {
    MIDGE_ASSIGN_OR_RETURN(options.weights, recipe_from_name(given.recipe));
  }
  MIDGE_ASSIGN_OR_RETURN(options.arithmetic, arithmetic_from_name(or_empty(given.arithmetic)));
  MIDGE_ASSIGN_OR_RETURN(options.isa, isa_features(or_empty(given.isa)));
  options.calibrate = given.calibrate != 0 && given.isa == nullptr;
  options.cache_dir = or_empty(given.cache_dir);
  options.context_max = given.context_length;
  if (given.batch_rows != 0) options.rows_max = given.batch_rows;
  if (given.lock_memory != 0) {
    options.residency = Residency::kLocked;
  } else if (given.memory_budget > 0) {
    options.residency = Residency::kResident;
  }
  return options;
}

Result<SchedulerOptions> scheduling_options(const midge_model_options& given,
                                            const ModelConfig& config, Residency residency) {
  SchedulerOptions options;
  MIDGE_ASSIGN_OR_RETURN(options.context_length,
                         resolve_context_length(config, given.context_length));
  MIDGE_ASSIGN_OR_RETURN(options.kv_type, kv_type_from_name(or_empty(given.kv_type)));
  if (given.kv_tokens < 0 || given.running_max < 0 || given.prompt_rows < 0 ||
      given.memory_budget < 0) {
    return Status(StatusCode::kInvalidArgument,
                  "kv_tokens, running_max, prompt_rows and memory_budget are not negative");
  }
  constexpr int64_t kTokensMost = int64_t{1} << 40;
  if (given.kv_tokens > kTokensMost) {
    return make_status(StatusCode::kInvalidArgument, "kv_tokens is %lld, expected at most %lld",
                       static_cast<long long>(given.kv_tokens),
                       static_cast<long long>(kTokensMost));
  }
  const int64_t tokens = given.kv_tokens > 0 ? given.kv_tokens : options.context_length;
  options.pages = ceil_div(tokens, options.page_tokens);
  options.residency = residency;
  constexpr int64_t kRunningMost = 64;
  if (given.running_max > kRunningMost) {
    return make_status(StatusCode::kInvalidArgument, "running_max is %lld, expected 1..%lld",
                       static_cast<long long>(given.running_max),
                       static_cast<long long>(kRunningMost));
  }
  if (given.running_max != 0) {
    options.running_max = given.running_max;
  } else if (given.batch_rows > 0) {  // each has a row of a pass at least
    options.running_max = std::min(options.running_max, given.batch_rows);
  }
  if (given.prompt_rows != 0) options.prompt_rows = given.prompt_rows;
  options.keeps_prefixes = given.no_prefix_sharing == 0;
  MIDGE_ASSIGN_OR_RETURN(options.drafts.drafter, drafter_from_name(or_empty(given.drafter)));
  options.drafts.remembered_tokens = given.draft_remembered;
  if (given.draft_remembered < 0 || given.draft_remembered > kRememberedMax) {
    return make_status(StatusCode::kInvalidArgument, "draft_remembered is %lld, expected 0..%lld",
                       static_cast<long long>(given.draft_remembered),
                       static_cast<long long>(kRememberedMax));
  }
  return options;
}

Status open_model(const char* path, const midge_model_options& options, midge_model& model) {
  LoadOptions load;
  load.access = options.copy_files != 0 ? FileAccess::kCopy : FileAccess::kMap;
  load.makes_executor = false;
  load.mtp_file = or_empty(options.mtp_file);
  if (options.image != nullptr) {
    if (options.image_bytes == 0) {
      return Status(StatusCode::kInvalidArgument, "image_bytes is 0, but image is not null");
    }
    load.image = {static_cast<const uint8_t*>(options.image), options.image_bytes};
  }
  MIDGE_ASSIGN_OR_RETURN(model.served.executor, executor_options(options));
  MIDGE_ASSIGN_OR_RETURN(model.loaded, LoadedModel::open(path, load));
  model.served.model = model.loaded.get();
  MIDGE_ASSIGN_OR_RETURN(
      model.served.scheduling,
      scheduling_options(options, model.loaded->model().config(), model.served.executor.residency));
  // A row of logits for each answer, some for prompts whose tokens get scores, as many for drafts.
  constexpr int64_t kScoredRows = 8;
  const bool drafts = model.served.scheduling.drafts.drafter != Drafter::kNone;
  model.served.executor.logit_rows_max =
      model.served.scheduling.running_max + (drafts ? 2 : 1) * kScoredRows;
  MIDGE_ASSIGN_OR_RETURN(model.stop_ids, model.loaded->stop_ids());
  model.memory_budget = options.memory_budget;
  model.progress = options.progress;
  model.user = options.user;
  Result<ChatTemplate> chat = detect_chat_template(model.loaded->tokenizer().chat_template());
  if (chat.ok()) {
    model.chat = std::move(*chat);
  } else {
    model.chat_error = chat.status().message();
  }
  if (options.log == nullptr) return Status();
  for (const std::string& warning : model.loaded->model().warnings()) {
    options.log(options.user, MIDGE_LOG_WARNING, warning.c_str());
  }
  return Status();
}

struct EngineMemory {
  ExecutorMemory executor;
  int64_t pages = 0;
  int64_t page_bytes = 0;
  int64_t drafts = 0;

  int64_t kv_bytes() const { return pages * page_bytes; }
  int64_t anonymous() const {
    return executor.weights_copied + executor.scratch + drafts + kv_bytes();
  }
};

Result<EngineMemory> memory_of(const midge_model& model, const midge_engine_options& engine) {
  ExecutorOptions options = model.served.executor;
  options.threads = engine.threads;
  if (engine.cores != nullptr) options.cores = engine.cores;
  options.pins = engine.no_pinning == 0;
  const ModelConfig& config = model.loaded->model().config();
  const SchedulerOptions& scheduling = model.served.scheduling;
  EngineMemory memory;
  MIDGE_ASSIGN_OR_RETURN(memory.executor, plan_executor(model.loaded->model(), options));
  KvPoolOptions pool;
  pool.type = scheduling.kv_type;
  pool.page_tokens = scheduling.page_tokens;
  pool.pages = 1;
  pool.with_mtp = Speculation::uses_mtp(scheduling.drafts, config);
  MIDGE_ASSIGN_OR_RETURN(memory.page_bytes, KvPool::bytes_for(config, pool));
  memory.pages = scheduling.pages;
  memory.drafts = Speculation::bytes_for(model.loaded->model(), scheduling.drafts,
                                         memory.executor.rows_max, 2 * scheduling.running_max);
  return memory;
}

Status check_budget(const midge_model& model, const EngineMemory& memory) {
  const int64_t budget = model.memory_budget;
  const int64_t total = memory.anonymous() + memory.executor.weights_in_place;
  if (budget == 0 || total <= budget) return Status();
  const int64_t rest = total - memory.kv_bytes();
  const int64_t pages = (budget - rest) / memory.page_bytes;
  if (budget <= rest || pages == 0) {
    return make_status(StatusCode::kOutOfMemory,
                       "%s takes %.2f MB, %.2f MB of them without any page; the budget is %.2f MB",
                       model.loaded->path().c_str(), static_cast<double>(total) * 1e-6,
                       static_cast<double>(rest) * 1e-6, static_cast<double>(budget) * 1e-6);
  }
  return make_status(StatusCode::kOutOfMemory,
                     "%s takes %.2f MB, the budget is %.2f MB; with kv_tokens %lld it would fit",
                     model.loaded->path().c_str(), static_cast<double>(total) * 1e-6,
                     static_cast<double>(budget) * 1e-6,
                     static_cast<long long>(pages * model.served.scheduling.page_tokens));
}

Status read_models(midge_model* const* models, size_t count, std::vector<midge_model*>* out) {
  if (models == nullptr || count == 0) return null_argument("models");
  for (size_t i = 0; i < count; ++i) {
    midge_model* model = as_model(models[i]);
    if (model == nullptr) {
      return make_status(StatusCode::kInvalidArgument, "models[%zu] is not an open model", i);
    }
    out->push_back(model);
  }
  return Status();
}

Status create_engine(std::vector<midge_model*> models, const midge_engine_options& given,
                     midge_engine& engine) {
  EngineOptions options;
  options.threads = given.threads;
  if (given.cores != nullptr) options.cores = given.cores;
  options.pins = given.no_pinning == 0;
  options.has_driver = given.caller_driven == 0;
  if (given.requests_max != 0) options.requests_max = given.requests_max;
  std::vector<ServedModel> served;
  for (midge_model* model : models) {
    MIDGE_ASSIGN_OR_RETURN(const EngineMemory memory, memory_of(*model, given));
    MIDGE_RETURN_IF_ERROR(check_budget(*model, memory));
    engine.memory += memory.anonymous();
    served.push_back(model->served);
    if (model->progress == nullptr) continue;
    served.back().on_weights = [model](int64_t done, int64_t total) {
      model->progress(model->user, done, total);
    };
  }
  MIDGE_ASSIGN_OR_RETURN(engine.engine, Engine::create(served, options));
  engine.requests_max = static_cast<size_t>(options.requests_max);
  engine.caller_driven = !options.has_driver;
  engine.models = std::move(models);
  for (midge_model* model : engine.models) ++model->engines;
  return Status();
}

std::vector<RowRole> roles_of(const uint8_t* roles, size_t count) {
  std::vector<RowRole> out(count, RowRole::kPrompt);
  for (size_t i = 0; i < count && roles != nullptr; ++i) {
    if (roles[i] == MIDGE_ROLE_GENERATED) out[i] = RowRole::kGenerated;
  }
  return out;
}

midge_engine_stats stats_of(const SchedulerStatistics& s, int64_t memory) {
  midge_engine_stats out = {};
  out.done = s.done;
  out.cancelled = s.cancelled;
  out.deadline = s.deadline;
  out.failed = s.failed;
  out.preemptions = s.preemptions;
  out.passes = s.passes;
  out.tokens_written = s.tokens_written;
  out.prompt_tokens = s.prompt_tokens;
  out.cached_tokens = s.cached_tokens;
  static_assert(sizeof(out.passes_by_sequences) == sizeof(s.passes_by_sequences));
  std::copy(s.passes_by_sequences.begin(), s.passes_by_sequences.end(), out.passes_by_sequences);
  const auto fill = [](const LatencyHistogram& of, double* p50, double* p95, double* p99) {
    *p50 = of.quantile(0.50);
    *p95 = of.quantile(0.95);
    *p99 = of.quantile(0.99);
  };
  fill(s.queue, &out.queue_seconds_p50, &out.queue_seconds_p95, &out.queue_seconds_p99);
  fill(s.first_token, &out.first_token_seconds_p50, &out.first_token_seconds_p95,
       &out.first_token_seconds_p99);
  fill(s.token_latency, &out.token_seconds_p50, &out.token_seconds_p95, &out.token_seconds_p99);
  out.pages = s.pages;
  out.pages_free = s.pages_free;
  out.pages_cached = s.pages_cached;
  out.pages_shared = s.pages_shared;
  out.pages_evicted = s.pages_evicted;
  out.pages_used_max = s.pages_used_max;
  out.memory = memory;
  out.steps = s.steps;
  out.drafts_read = s.drafts_read;
  out.drafts_right = s.drafts_drawn;
  std::copy(s.step_seconds.begin(), s.step_seconds.end(), out.step_seconds);
  return out;
}

}  // namespace
}  // namespace midge

using midge::as_engine;
using midge::as_model;
using midge::guarded;
using midge::Result;
using midge::Status;
using midge::StatusCode;

const char* midge_version(void) { return MIDGE_VERSION; }

const char* midge_status_name(midge_status status) {
  if (status < MIDGE_OK || status > MIDGE_CALLBACK_FAILED) return "unknown";
  return midge::status_code_name(static_cast<StatusCode>(status));
}

midge_status midge_error_text(const void* handle, char* text, size_t text_bytes) {
  if (handle == nullptr || text == nullptr || text_bytes == 0) return MIDGE_INVALID_ARGUMENT;
  // Both types of handles begin alike.
  auto* any = static_cast<midge::CHandle*>(const_cast<void*>(handle));
  const midge::CHandle::Tag tag = any->tag;
  if (tag != midge::CHandle::Tag::kModel && tag != midge::CHandle::Tag::kEngine) {
    return MIDGE_INVALID_ARGUMENT;
  }
  MIDGE_TRY { midge::put_text(any->last_error(), text, text_bytes); }
  MIDGE_CATCH(...) { return MIDGE_OUT_OF_MEMORY; }
  return MIDGE_OK;
}

midge_status midge_model_open(const char* path, const midge_model_options* options,
                              midge_model** model, midge_error* error) {
  return midge::guarded_opening(error, [&]() -> Status {
    if (path == nullptr) return midge::null_argument("path");
    if (model == nullptr) return midge::null_argument("model");
    midge_model_options known;
    MIDGE_RETURN_IF_ERROR(midge::read_struct("midge_model_options", options, &known));
    auto opened = std::make_unique<midge_model>();
    MIDGE_RETURN_IF_ERROR(midge::open_model(path, known, *opened));
    *model = opened.release();
    return Status();
  });
}

midge_status midge_model_info_get(midge_model* model, midge_model_info* info) {
  if (as_model(model) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(model, [&]() -> Status {
    MIDGE_RETURN_IF_ERROR(midge::check_filled("midge_model_info", info));
    const midge::ModelConfig& config = model->loaded->model().config();
    const midge::Tokenizer& tokenizer = model->loaded->tokenizer();
    midge_model_info filled = {};
    filled.vocab_size = config.vocab_size;
    filled.context_length = config.context_length;
    filled.layer_count = config.layer_count;
    filled.hidden_size = config.hidden_size;
    filled.bos_id = tokenizer.add_bos() ? tokenizer.bos_id() : -1;
    filled.has_chat = model->chat.has_value() ? 1 : 0;
    if (!tokenizer.chat_template().empty()) {
      filled.chat_template = tokenizer.chat_template().c_str();
    }
    filled.stop_ids = model->stop_ids.data();
    filled.stop_id_count = model->stop_ids.size();
    midge::fill_struct(filled, info);
    return Status();
  });
}

midge_status midge_model_close(midge_model** model) {
  if (model == nullptr || as_model(*model) == nullptr) return MIDGE_INVALID_ARGUMENT;
  if ((*model)->engines > 0) {
    return (*model)->fail(Status(StatusCode::kBusy, "an engine uses the model"));
  }
  (*model)->tag = midge::CHandle::Tag::kClosed;
  delete *model;
  *model = nullptr;
  return MIDGE_OK;
}

midge_status midge_tokenize(midge_model* model, const char* text, size_t text_bytes, uint32_t flags,
                            int32_t* tokens, size_t* count) {
  if (as_model(model) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(model, [&]() -> Status {
    if (text == nullptr && text_bytes > 0) return midge::null_argument("text");
    if (count == nullptr) return midge::null_argument("count");
    if (tokens == nullptr && *count > 0) return midge::null_argument("tokens");
    if (flags > (MIDGE_SPECIAL_PARSED | MIDGE_ADD_BOS)) {
      return midge::make_status(StatusCode::kInvalidArgument, "flags are %u", flags);
    }
    const midge::Tokenizer& tokenizer = model->loaded->tokenizer();
    std::vector<int32_t> ids;
    if ((flags & MIDGE_ADD_BOS) != 0 && tokenizer.add_bos() && tokenizer.bos_id() >= 0) {
      ids.push_back(tokenizer.bos_id());
    }
    const auto special = (flags & MIDGE_SPECIAL_PARSED) != 0 ? midge::SpecialTokens::kParse
                                                             : midge::SpecialTokens::kAsText;
    MIDGE_RETURN_IF_ERROR(
        tokenizer.encode({text == nullptr ? "" : text, text_bytes}, special, &ids));
    const size_t room = *count;
    *count = ids.size();
    if (ids.size() > room) {
      return midge::make_status(StatusCode::kTooSmall, "%zu tokens, there is room for %zu",
                                ids.size(), room);
    }
    std::copy(ids.begin(), ids.end(), tokens);
    return Status();
  });
}

midge_status midge_detokenize(midge_model* model, const int32_t* tokens, size_t count,
                              int32_t with_special, char* text, size_t* text_bytes) {
  if (as_model(model) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(model, [&]() -> Status {
    if (tokens == nullptr && count > 0) return midge::null_argument("tokens");
    if (text_bytes == nullptr) return midge::null_argument("text_bytes");
    if (text == nullptr && *text_bytes > 0) return midge::null_argument("text");
    MIDGE_ASSIGN_OR_RETURN(const std::string decoded,
                           model->loaded->tokenizer().decode({tokens, count}, with_special == 0));
    const size_t room = *text_bytes;
    *text_bytes = decoded.size();
    if (decoded.size() > room) {
      return midge::make_status(StatusCode::kTooSmall, "%zu bytes, there is room for %zu",
                                decoded.size(), room);
    }
    std::copy(decoded.begin(), decoded.end(), text);
    return Status();
  });
}

midge_status midge_plan(midge_model* model, const midge_engine_options* options,
                        midge_memory* memory, midge_error* error) {
  return midge::guarded_opening(error, [&]() -> Status {
    if (as_model(model) == nullptr) {
      return Status(StatusCode::kInvalidArgument, "model is not an open model");
    }
    MIDGE_RETURN_IF_ERROR(midge::check_filled("midge_memory", memory));
    midge_engine_options known;
    MIDGE_RETURN_IF_ERROR(midge::read_struct("midge_engine_options", options, &known));
    MIDGE_ASSIGN_OR_RETURN(const midge::EngineMemory plan, midge::memory_of(*model, known));
    midge_memory filled = {};
    filled.weights_mapped = plan.executor.weights_in_place;
    filled.weights_anonymous = plan.executor.weights_copied;
    filled.scratch = plan.executor.scratch;
    filled.kv_pages = plan.kv_bytes();
    filled.drafts = plan.drafts;
    midge::fill_struct(filled, memory);
    return Status();
  });
}

midge_status midge_engine_create(midge_model* const* models, size_t model_count,
                                 const midge_engine_options* options, midge_engine** engine,
                                 midge_error* error) {
  return midge::guarded_opening(error, [&]() -> Status {
    if (engine == nullptr) return midge::null_argument("engine");
    midge_engine_options known;
    MIDGE_RETURN_IF_ERROR(midge::read_struct("midge_engine_options", options, &known));
    std::vector<midge_model*> served;
    MIDGE_RETURN_IF_ERROR(midge::read_models(models, model_count, &served));
    auto created = std::make_unique<midge_engine>();
    MIDGE_RETURN_IF_ERROR(midge::create_engine(std::move(served), known, *created));
    *engine = created.release();
    return Status();
  });
}

midge_status midge_engine_step(midge_engine* engine, int32_t* more) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    MIDGE_ASSIGN_OR_RETURN(const bool any, engine->engine->step());
    if (more != nullptr) *more = any ? 1 : 0;
    return Status();
  });
}

midge_status midge_engine_trim(midge_engine* engine) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&] { return engine->engine->trim(); });
}

midge_status midge_engine_close(midge_engine** engine, int32_t how) {
  if (engine == nullptr || as_engine(*engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  midge_engine* closing = *engine;
  const midge_status closed = guarded(closing, [&]() -> Status {
    if (how != MIDGE_CANCEL && how != MIDGE_FINISH) {
      return midge::make_status(StatusCode::kInvalidArgument, "how is %d", how);
    }
    return closing->engine->close(how == MIDGE_FINISH ? midge::Engine::Closing::kFinish
                                                      : midge::Engine::Closing::kCancel);
  });
  if (closed != MIDGE_OK) return closed;
  closing->tag = midge::CHandle::Tag::kClosed;
  for (midge_model* model : closing->models) --model->engines;
  delete closing;
  *engine = nullptr;
  return MIDGE_OK;
}

midge_status midge_engine_stats_get(midge_engine* engine, size_t model, midge_engine_stats* stats) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    MIDGE_RETURN_IF_ERROR(midge::check_filled("midge_engine_stats", stats));
    MIDGE_ASSIGN_OR_RETURN(const midge::SchedulerStatistics found,
                           engine->engine->statistics(model));
    midge::fill_struct(midge::stats_of(found, engine->memory), stats);
    return Status();
  });
}

midge_status midge_prefix_save(midge_engine* engine, size_t model, const int32_t* tokens,
                               const uint8_t* roles, size_t count, const char* path,
                               size_t* saved) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    if (tokens == nullptr) return midge::null_argument("tokens");
    if (path == nullptr) return midge::null_argument("path");
    MIDGE_ASSIGN_OR_RETURN(
        const int64_t length,
        engine->engine->save_prefix(model, {tokens, count}, midge::roles_of(roles, count), path));
    if (saved != nullptr) *saved = static_cast<size_t>(length);
    return Status();
  });
}

midge_status midge_prefix_load(midge_engine* engine, size_t model, const char* path,
                               size_t* loaded) {
  if (as_engine(engine) == nullptr) return MIDGE_INVALID_ARGUMENT;
  return guarded(engine, [&]() -> Status {
    if (path == nullptr) return midge::null_argument("path");
    MIDGE_ASSIGN_OR_RETURN(const int64_t length, engine->engine->load_prefix(model, path));
    if (loaded != nullptr) *loaded = static_cast<size_t>(length);
    return Status();
  });
}
