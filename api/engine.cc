#include "api/engine.h"

#include <chrono>
#include <new>
#include <system_error>
#include <utility>

#include "engine/core/at_end.h"
#include "engine/core/check.h"
#include "engine/core/exceptions.h"
#include "engine/scheduler/prefix_file.h"

namespace midge {
namespace {

Status busy(const char* what) { return Status(StatusCode::kBusy, what); }

/// Takes the right to step for a scope.
class Stepping {
 public:
  explicit Stepping(std::atomic<std::thread::id>& stepper) : stepper_(stepper) {
    std::thread::id nobody;
    mine_ = stepper_.compare_exchange_strong(nobody, std::this_thread::get_id());
  }
  ~Stepping() {
    if (mine_) stepper_ = std::thread::id();
  }
  Stepping(const Stepping&) = delete;
  Stepping& operator=(const Stepping&) = delete;

  bool is_mine() const { return mine_; }

 private:
  std::atomic<std::thread::id>& stepper_;
  bool mine_ = false;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::create(std::span<const ServedModel> models,
                                               const EngineOptions& options) {
  if (models.empty()) return Status(StatusCode::kInvalidArgument, "an engine of no models");
  if (options.requests_max < 1) {
    return make_status(StatusCode::kInvalidArgument, "%lld requests, expected at least 1",
                       static_cast<long long>(options.requests_max));
  }
  MIDGE_ASSIGN_OR_RETURN(
      WorkerTeam created,
      WorkerTeam::create(TeamOptions{{options.threads, options.cores}, options.pins, {}}));
  const auto team = std::make_shared<const WorkerTeam>(std::move(created));
  std::unique_ptr<Engine> engine(new Engine(options));
  for (const ServedModel& served : models) {
    if (!served.model->has_tokenizer()) {
      return make_status(StatusCode::kInvalidArgument, "%s: a model that was opened without text",
                         served.model->path().c_str());
    }
    ExecutorOptions executor_options = served.executor;
    executor_options.team = team;
    // Prompts whose tokens get scores have rows of logits beside those of the answers.
    const int64_t running = served.scheduling.running_max;
    executor_options.logit_rows_max = std::max(executor_options.logit_rows_max, running);
    Served model;
    model.model = served.model;
    MIDGE_ASSIGN_OR_RETURN(model.executor, Executor::create(served.model->model(), executor_options,
                                                            served.on_weights));
    SchedulerOptions scheduling = served.scheduling;
    scheduling.waiting_max = options.requests_max;
    MIDGE_ASSIGN_OR_RETURN(model.scheduler,
                           Scheduler::create(*model.executor, served.model->tokenizer(),
                                             served.model->allowed_tokens(), scheduling));
    model.told = std::make_unique<Latest<SchedulerStatistics>>();
    tell_statistics(model);
    engine->models_.push_back(std::move(model));
  }
  if (!options.has_driver) return engine;
  MIDGE_TRY {
    engine->driver_ = std::thread([e = engine.get()] { e->drive(); });
  }
  MIDGE_CATCH(const std::system_error&) {
    return Status(StatusCode::kOutOfMemory, "the system has no thread for the engine");
  }
  return engine;
}

Engine::~Engine() {
  const Status closed = close(Closing::kCancel);
  MIDGE_DCHECK(closed.ok(), "%s", closed.message().c_str());
}

Status Engine::check_model(size_t model) const {
  if (model < models_.size()) return Status();
  return make_status(StatusCode::kOutOfRange, "model %zu, the engine has %zu", model,
                     models_.size());
}

Result<uint64_t> Engine::submit(size_t model, Request request) {
  MIDGE_RETURN_IF_ERROR(check_model(model));
  const auto record = std::make_shared<Record>();
  record->answers_left = request.samples;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return Status(StatusCode::kCancelled, "the engine closes");
    const size_t running = records_.size() - ending_;
    if (static_cast<int64_t>(running) >= options_.requests_max) {
      return make_status(StatusCode::kBusy, "%zu requests have not ended, no more are taken",
                         running);
    }
    request.id = ++last_id_;
    records_.emplace(request.id, record);
  }
  const uint64_t id = request.id;
  AtEnd forget([this, id] { forget_record(id); });
  request.cancel = &record->cancel;
  // The record lives as long as the request.
  request.on_end = [this, model, record,
                    tell = std::move(request.on_end)](const RequestResult& result) {
    // Whoever hears of the end finds it counted, and its place free.
    tell_statistics(models_[model]);
    begin_end(*record);
    const AtEnd ended([this, &result] { end_answer(result.id); });
    if (tell != nullptr) tell(result);
  };
  MIDGE_ASSIGN_OR_RETURN(Scheduler::PreparedRequest prepared,
                         models_[model].scheduler->prepare(request));
  put_mail({model, std::move(prepared), nullptr});
  forget.call_off();
  return id;
}

// Of a request that was not taken.
void Engine::forget_record(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    records_.erase(id);
  }
  arrived_.notify_one();  // who closes may wait for it
  ended_.notify_all();
}

void Engine::put_mail(Mail mail) {
  {
    const std::lock_guard lock(mutex_);
    mail_.push_back(std::move(mail));
    has_mail_ = true;
  }
  arrived_.notify_one();
}

void Engine::take_mail() {
  if (!has_mail_.load(std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(mutex_);
    std::swap(mail_, mail_taken_);
    has_mail_ = false;
  }
  for (Mail& mail : mail_taken_) {
    if (mail.call != nullptr) {
      mail.call();
    } else {
      models_[mail.model].scheduler->submit(std::move(mail.request));
    }
  }
  mail_taken_.clear();
}

void Engine::begin_end(const Record& record) {
  const std::lock_guard lock(mutex_);
  if (record.answers_left == 1) ++ending_;
}

void Engine::end_answer(uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(id);
    if (found == records_.end() || --found->second->answers_left > 0) return;
    records_.erase(found);
    --ending_;
  }
  ended_.notify_all();
}

Status Engine::cancel(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found == records_.end()) {
    return make_status(StatusCode::kNotFound, "no request %llu that has not ended",
                       static_cast<unsigned long long>(id));
  }
  found->second->cancel = true;
  return Status();
}

namespace {

Result<bool> step_model(Scheduler& scheduler) {
  MIDGE_TRY { return scheduler.step(); }
  MIDGE_CATCH(const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, "no memory for a step");
  }
}

}  // namespace

bool Engine::step_all() {
  take_mail();
  bool any = false;
  for (Served& served : models_) {
    const Result<bool> more = step_model(*served.scheduler);
    if (!more.ok()) served.scheduler->fail(more.status());
    if (more.ok() && !*more) continue;
    tell_statistics(served);
    any = true;
  }
  return any;
}

void Engine::drive() {
  stepper_ = std::this_thread::get_id();
  for (;;) {
    if (step_all()) continue;
    std::unique_lock lock(mutex_);
    if (!mail_.empty()) continue;
    if (closing_ && records_.empty()) break;
    arrived_.wait(lock, [this] { return !mail_.empty() || (closing_ && records_.empty()); });
  }
  stepper_ = std::thread::id();
}

Result<bool> Engine::step() {
  if (options_.has_driver) return busy("step: the engine has a driver of its own");
  const Stepping stepping(stepper_);
  if (!stepping.is_mine()) return busy("step: another one runs");
  const bool any = step_all();
  return any || has_mail_;
}

Status Engine::wait(uint64_t id, double seconds) {
  using std::chrono::steady_clock;
  if (is_inside()) return busy("wait: called from a callback");
  constexpr double kForever = 1e9;
  const auto end = steady_clock::now() +
                   std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(
                       seconds < 0 ? kForever : std::min(seconds, kForever)));
  const auto has_ended = [&] { return !records_.contains(id); };
  const auto late = [&] {
    return make_status(StatusCode::kTimeout, "request %llu has not ended in %.3f s",
                       static_cast<unsigned long long>(id), seconds);
  };
  std::unique_lock lock(mutex_);
  if (options_.has_driver) {
    return ended_.wait_until(lock, end, has_ended) ? Status() : late();
  }
  while (!has_ended()) {
    if (steady_clock::now() >= end) return late();
    lock.unlock();
    MIDGE_RETURN_IF_ERROR(step().status());
    lock.lock();
  }
  return Status();
}

// Runs call() where the schedulers may be touched, and returns after it.
Status Engine::run_inside(const std::function<void()>& call) {
  const auto call_and_tell = [&] {
    call();
    for (const Served& served : models_) tell_statistics(served);
  };
  if (is_inside()) {
    call_and_tell();
    return Status();
  }
  if (!options_.has_driver || closed_) {
    const Stepping stepping(stepper_);
    if (!stepping.is_mine()) return busy("another thread steps the engine");
    call_and_tell();
    return Status();
  }
  std::condition_variable returned;
  bool done = false;
  std::unique_lock lock(mutex_);
  if (closing_) return Status(StatusCode::kCancelled, "the engine closes");
  mail_.push_back({0, nullptr, [&] {
                     call_and_tell();
                     // Under the lock: the variables are gone when the waiter has seen it.
                     const std::lock_guard told(mutex_);
                     done = true;
                     returned.notify_one();
                   }});
  has_mail_ = true;
  arrived_.notify_one();
  returned.wait(lock, [&] { return done; });
  return Status();
}

void Engine::tell_statistics(const Served& served) {
  served.told->put(served.scheduler->statistics());
}

Result<SchedulerStatistics> Engine::statistics(size_t model) const {
  MIDGE_RETURN_IF_ERROR(check_model(model));
  const Served& served = models_[model];
  return is_inside() ? served.scheduler->statistics() : served.told->get();
}

Status Engine::trim_all() {
  Status status;
  for (Served& served : models_) {
    KvPool& pool = served.scheduler->pool();
    served.scheduler->cache().evict(pool.page_count());
    pool.release_free();
    if (status.ok()) status = served.executor->trim();
  }
  return status;
}

Status Engine::trim() {
  if (is_inside()) {
    // From a callback: further tokens may be drawn from the logits of its pass.
    Mail mail;
    mail.call = [this] { (void)trim_all(); };
    put_mail(std::move(mail));
    return Status();
  }
  Status status;
  MIDGE_RETURN_IF_ERROR(run_inside([&] { status = trim_all(); }));
  return status;
}

Result<int64_t> Engine::save_prefix(size_t model, std::span<const int32_t> tokens,
                                    std::span<const RowRole> roles, const std::string& path) {
  MIDGE_RETURN_IF_ERROR(check_model(model));
  if (roles.size() != tokens.size()) {
    return make_status(StatusCode::kInvalidArgument, "%zu roles for %zu tokens", roles.size(),
                       tokens.size());
  }
  Scheduler& scheduler = *models_[model].scheduler;
  PrefixInfo info;
  PrefixCache::Known known;
  // The pages stay as they are while they have one holder more.
  MIDGE_RETURN_IF_ERROR(run_inside([&] {
    for (const RopeRegime regime : {RopeRegime::kShort, RopeRegime::kLong}) {
      PrefixCache::Known found = scheduler.cache().find(regime, tokens, roles);
      if (found.tokens <= known.tokens) continue;
      known = std::move(found);
      info.regime = regime;
    }
    for (const int32_t page : known.page_ids) scheduler.pool().share(page);
  }));
  if (known.tokens == 0) {
    return make_status(StatusCode::kNotFound, "nothing is known of these %zu tokens",
                       tokens.size());
  }
  info.model = model_identity(*models_[model].executor);
  info.tokens = tokens.first(static_cast<size_t>(known.tokens));
  info.roles = roles.first(static_cast<size_t>(known.tokens));
  info.mtp = known.mtp;
  const int64_t length = known.tokens;
  const auto pages = std::make_shared<const std::vector<int32_t>>(std::move(known.page_ids));
  Status saved;
  MIDGE_TRY { saved = save_prefix_file(path, info, scheduler.pool(), *pages); }
  MIDGE_CATCH(const std::bad_alloc&) {
    saved = Status(StatusCode::kOutOfMemory, "no memory to save a prefix");
  }
  give_pages_back(scheduler, pages);
  MIDGE_RETURN_IF_ERROR(saved);
  return length;
}

void Engine::give_pages_back(Scheduler& scheduler,
                             const std::shared_ptr<const std::vector<int32_t>>& pages) {
  const auto give = [&scheduler, pages] {
    for (const int32_t page : *pages) scheduler.pool().give_back(page);
  };
  // While another thread steps, the next step does it.
  if (run_inside(give).ok()) return;
  Mail mail;
  mail.call = give;
  put_mail(std::move(mail));
}

Result<int64_t> Engine::load_prefix(size_t model, const std::string& path) {
  MIDGE_RETURN_IF_ERROR(check_model(model));
  const Served& served = models_[model];
  MIDGE_ASSIGN_OR_RETURN(
      const PrefixFile file,
      PrefixFile::open(path, model_identity(*served.executor), served.scheduler->pool().layout(),
                       served.executor->model().config()));
  const auto length = static_cast<int64_t>(file.info().tokens.size());
  Status status;
  MIDGE_RETURN_IF_ERROR(run_inside([&] {
    KvPool& pool = served.scheduler->pool();
    PrefixCache& cache = served.scheduler->cache();
    const int64_t room = pool.free_count() + cache.evictable_count();
    if (room < file.page_count()) {
      status = make_status(StatusCode::kNoPages, "a prefix of %lld KV pages, %lld are free",
                           static_cast<long long>(file.page_count()), static_cast<long long>(room));
      return;
    }
    cache.evict(file.page_count());
    std::vector<int32_t> pages;
    for (int64_t i = 0; i < file.page_count(); ++i) {
      pages.push_back(pool.take());
      file.read_page(i, pool.page(pages.back()));
    }
    const PrefixInfo& info = file.info();
    cache.keep({info.regime, info.tokens, info.roles, pages, info.mtp});
    for (const int32_t page : pages) pool.give_back(page);  // the cache holds them
  }));
  MIDGE_RETURN_IF_ERROR(status);
  return length;
}

Status Engine::close(Closing how) {
  if (is_inside()) return busy("close: called from a callback");
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (how == Closing::kCancel) {
      for (const auto& [id, record] : records_) record->cancel = true;
    }
  }
  arrived_.notify_one();
  if (options_.has_driver) {
    if (driver_.joinable()) driver_.join();
    closed_ = true;
    return Status();
  }
  for (;;) {
    MIDGE_ASSIGN_OR_RETURN(const bool more, step());
    if (!more) return Status();
  }
}

}  // namespace midge
