// Requests to one or several models, served by one team of workers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "api/loaded_model.h"
#include "engine/core/latest.h"
#include "engine/scheduler/model_identity.h"
#include "engine/scheduler/scheduler.h"

namespace midge {

/// A model that an engine serves.
struct ServedModel {
  /// Opened without an executor (LoadOptions::makes_executor); outlives the engine.
  const LoadedModel* model = nullptr;
  ExecutorOptions executor;  ///< its team and threads do not count
  SchedulerOptions scheduling;
  std::function<void(int64_t done, int64_t total)> on_weights;  ///< of preparing; may be empty
};

struct EngineOptions {
  int threads = 0;    ///< of the team, 1..256; 0: as many as passes need
  std::string cores;  ///< as CoreRequest::cores
  bool pins = true;   ///< as TeamOptions::pins
  /// Requests are served by a thread of the engine's, which is worker 0. Without, whoever calls
  /// step() is.
  bool has_driver = true;
  int64_t requests_max = 1024;  ///< that have not ended; more are refused
};

/// Models, the team that they share, and a scheduler for each. Passes of the models take turns.
///
/// submit(), cancel(), wait(), statistics() and the others may be called from any thread, and from
/// callbacks, which run on the driver (or in step()) and must not block. Between callbacks an
/// engine that has nothing to do sleeps. While answers are written and nobody comes or goes, it
/// takes no lock and allocates nothing.
class Engine {
 public:
  enum class Closing {
    kFinish,  ///< what was submitted is served to its end
    kCancel,  ///< what has not ended is cancelled
  };

  /// Errors: those of WorkerTeam::create, Executor::create and Scheduler::create.
  static Result<std::unique_ptr<Engine>> create(std::span<const ServedModel> models,
                                                const EngineOptions& options);

  /// Closes it with kCancel. Not from a callback.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  size_t model_count() const { return models_.size(); }
  const Executor& executor(size_t model) const { return *models_[model].executor; }
  const Scheduler& scheduler(size_t model) const { return *models_[model].scheduler; }

  /// Takes a request for model `model`; its id and cancel flag are the engine's. Errors: busy
  /// (requests_max), cancelled (the engine closes), out_of_range (model), those of
  /// Scheduler::prepare.
  Result<uint64_t> submit(size_t model, Request request);

  /// Ends all answers of a request: before the next layer if a pass is theirs alone, else behind
  /// it. Errors: not_found (none, or it has ended).
  Status cancel(uint64_t id);

  /// Returns when all answers of a request have ended and were told of. Without a driver it steps.
  /// seconds: how long at most; negative: as long as it takes. Errors: timeout; busy (from a
  /// callback; without a driver, while another thread steps). A request that is not known has
  /// ended.
  Status wait(uint64_t id, double seconds);

  /// Whether this thread is inside of a callback, or steps.
  bool is_inside() const { return stepper_ == std::this_thread::get_id(); }

  /// One pass for each model that has something to do. False if none has. Errors: busy (the engine
  /// has a driver; another step runs).
  Result<bool> step();

  /// Of one model. Never waits for a pass: until the one that runs has ended, they are those from
  /// before it. Errors: out_of_range.
  Result<SchedulerStatistics> statistics(size_t model) const;

  /// Writes the longest known beginning of tokens with these roles to a file. Returns its length.
  /// Errors: not_found (nothing is known of it), those of save_prefix, busy (as wait).
  Result<int64_t> save_prefix(size_t model, std::span<const int32_t> tokens,
                              std::span<const RowRole> roles, const std::string& path);
  /// Makes the beginning in a file known. Returns its length. Errors: those of PrefixFile::open,
  /// no_pages (all that could be free together do not hold it), busy (as wait).
  Result<int64_t> load_prefix(size_t model, const std::string& path);

  /// Gives memory back to the system: beginnings that no request uses, free pages, that of a pass,
  /// mapped weights. It is taken again when needed. From a callback: behind the pass. Errors: busy
  /// (as wait).
  Status trim();

  /// Refuses what comes from now on, serves or cancels what there is, and ends the driver. Errors:
  /// busy (from a callback; without a driver, while another thread steps). Again: does nothing.
  Status close(Closing how);

 private:
  struct Served {
    const LoadedModel* model = nullptr;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Scheduler> scheduler;
    std::unique_ptr<Latest<SchedulerStatistics>> told;  // to those that do not step
  };
  // A request that has not ended.
  struct Record {
    std::atomic<bool> cancel = false;
    int32_t answers_left = 0;
  };
  // For whoever steps.
  struct Mail {
    size_t model = 0;
    Scheduler::PreparedRequest request;
    std::function<void()> call;  // instead of a request
  };

  explicit Engine(const EngineOptions& options) : options_(options) {}

  void drive();
  bool step_all();
  Status trim_all();
  void take_mail();
  void put_mail(Mail mail);
  void forget_record(uint64_t id);
  void give_pages_back(Scheduler& scheduler,
                       const std::shared_ptr<const std::vector<int32_t>>& pages);
  Status run_inside(const std::function<void()>& call);
  Status check_model(size_t model) const;
  void begin_end(const Record& record);
  void end_answer(uint64_t id);
  static void tell_statistics(const Served& served);

  EngineOptions options_;
  std::vector<Served> models_;
  std::vector<Mail> mail_taken_;
  std::atomic<std::thread::id> stepper_ = {};  // who steps now

  std::mutex mutex_;  // of what follows
  std::condition_variable arrived_;
  std::condition_variable ended_;
  std::unordered_map<uint64_t, std::shared_ptr<Record>> records_;
  size_t ending_ = 0;  // of these: all answers have ended, the last one is being told
  std::vector<Mail> mail_;
  uint64_t last_id_ = 0;
  bool closing_ = false;

  std::atomic<bool> has_mail_ = false;
  std::atomic<bool> closed_ = false;  // the driver has ended
  std::thread driver_;
};

}  // namespace midge
