// The threads that compute: one team, one dispatch per step, and spin barriers between the
// operations of a step.
//
// Waking a sleeping thread costs 30-100 us on a virtual machine and a step has hundreds of
// operations, so the workers stay awake for the length of a step: every one of them runs the whole
// step and they meet at barriers. Between steps they sleep.
//
// A step runs on the cores that its class of pass is worth (core_choice.h), each worker pinned to
// one of them, without those that are busy with something else (core_watch.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/status.h"
#include "engine/platform/core_choice.h"
#include "engine/platform/event_log.h"
#include "engine/platform/topology.h"

namespace midge {

namespace worker_internal {
struct Meeting;
struct Team;
}  // namespace worker_internal

/// One of the threads inside of WorkerTeam::run. Every worker makes the same calls in the same
/// order.
class Worker {
 public:
  Worker(worker_internal::Meeting* meeting, int index, int count, int core_type);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int index() const { return index_; }
  int count() const { return count_; }
  /// Of its core: index into Topology::types. 0 where it is not pinned.
  int core_type() const { return core_type_; }

  /// Writes waits at barriers to *log from now on; null: no more. For the rest of a run.
  void keep_log(EventLog* log) const { log_ = log; }

  /// Returns when every worker has called it; what they wrote before is visible to all.
  void barrier() const {
    if (count_ > 1) meet(false);
  }

  /// for (i = 0; i < items; ++i) body(i), each item on one of the workers, in any order; a barrier
  /// follows. Each worker begins with neighbouring items, as many as fit its rate, and then helps
  /// others (loop_shares.h). work: of an item, in any unit that is the same for all loops of a
  /// class of passes, to learn the rates of the workers from; 0: these loops are no measure.
  template <typename Body>
  void for_each(int64_t items, const Body& body, double work = 0) const {
    Loop loop = begin_loop(items, work);
    if (count_ == 1) {
      for (int64_t i = 0; i < items; ++i) body(i);
      loop.done = items;
    } else {
      for (int64_t i = next(loop); i >= 0; i = next(loop)) body(i);
    }
    end_loop(loop);
  }

  /// body() on worker 0; a barrier follows.
  template <typename Body>
  void single(const Body& body) const {
    if (index_ == 0) body();
    barrier();
  }

 private:
  friend struct worker_internal::Team;

  struct Loop {
    int64_t items;
    double work;
    int64_t started;  // nanoseconds; 0 without work
    int64_t done = 0;
    int64_t number;
  };

  Loop begin_loop(int64_t items, double work) const;
  int64_t next(Loop& loop) const;
  void end_loop(const Loop& loop) const;  // a barrier follows
  void count_work(const Loop& loop) const;
  void meet(bool may_learn) const;
  void wait_for_others(bool may_learn) const;

  worker_internal::Meeting* meeting_;
  int index_;
  int count_;
  int core_type_;
  // A worker is of one thread.
  mutable int64_t loops_ = 0;
  mutable double busy_ = 0;
  mutable double work_ = 0;
  mutable double slept_ = 0;  // at barriers
  mutable EventLog* log_ = nullptr;
};

/// Cores that this process may run on, at least 1.
int allowed_cores();

struct TeamOptions {
  CoreRequest request;
  /// Pins each worker to a core, for the length of a step, and leaves busy cores out. Without, the
  /// system places them.
  bool pins = true;
  /// Absent: this machine's.
  std::optional<Topology> topology;
};

/// What a team did on a core in passes of a class.
struct CoreWork {
  PassClass pass_class;
  int core;  ///< number; -1: the mean of workers that are not pinned
  int64_t passes;
  double seconds;  ///< of these passes
  double busy;     ///< of them: in loops whose work counts
  double away;     ///< of them: without the core that the worker wanted
  double work;     ///< done there, in the units of the loops
};

/// The team. One run at a time; the calling thread takes part in it as worker 0.
///
/// The other threads live in one parallel loop of pthreadpool for as long as the team does: a loop
/// of pthreadpool wakes all of its threads and waits for each, also for those on cores that have no
/// part in a step. The loop is held open by a thread of the team's own.
///
/// In a process that was forked off, the team has the calling thread alone.
class WorkerTeam {
 public:
  /// Errors: invalid_argument (the request), out_of_memory (no threads to be had).
  static Result<WorkerTeam> create(const TeamOptions& options);
  /// threads: 1..256 in all, the caller included; 0: as many as passes need.
  static Result<WorkerTeam> create(int threads);

  WorkerTeam(WorkerTeam&&) noexcept;
  WorkerTeam& operator=(WorkerTeam&&) noexcept;
  ~WorkerTeam();

  /// Most workers of a run.
  int thread_count() const;
  const Topology& topology() const;
  /// The cores of each class. Not during a run.
  const CoreChoice& choice() const;
  /// True if workers are pinned.
  bool pins() const;
  /// Cores that were asked for: no others are used. Empty: none were.
  const std::vector<int>& requested_cores() const;
  /// Why workers that were to be pinned are not: what the system said the last time that it
  /// refused, or that there are more of them than cores. Empty: all are, or none were to be.
  std::string pin_refusal() const;
  /// Chooses again by measured rates, and forgets what was learned. The number of threads stays:
  /// sets are cut to it. Not during a run.
  void use_rates(const CoreRates& rates) const;

  /// What was done since the team was made. Not during a run.
  std::vector<CoreWork> work() const;

  /// body(worker) on the workers of a class of passes at the same time; returns when all have
  /// returned. Allocates nothing.
  template <typename Body>
  void run(PassClass c, const Body& body) const {
    dispatch(c, &invoke<Body>, const_cast<Body*>(&body));
  }
  /// On all workers that help.
  template <typename Body>
  void run(const Body& body) const {
    run(PassClass::kPanel, body);
  }

 private:
  template <typename Body>
  static void invoke(void* body, const Worker& worker) {
    (*static_cast<const Body*>(body))(worker);
  }
  void dispatch(PassClass c, void (*body)(void*, const Worker&), void* context) const;

  explicit WorkerTeam(std::unique_ptr<worker_internal::Team> team);

  std::unique_ptr<worker_internal::Team> team_;
};

}  // namespace midge
