// The threads that compute: one team, one dispatch per step, and spin barriers between the
// operations of a step.
//
// Waking a sleeping thread costs 30-100 us on a virtual machine and a step has hundreds of
// operations, so the workers stay awake for the length of a step: every one of them runs the whole
// step and they meet at barriers. Between steps they sleep (pthreadpool's own waiting).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/core/status.h"

struct pthreadpool;

namespace midge {

namespace worker_internal {

// What the workers of a running step share; each on its own cache line.
struct Meeting {
  alignas(64) std::atomic<uint32_t> arrived = 0;
  alignas(64) std::atomic<uint32_t> epoch = 0;
  alignas(64) std::atomic<int64_t> claimed = 0;
};

}  // namespace worker_internal

/// One of the threads inside of WorkerTeam::run. Every worker makes the same calls in the same
/// order.
class Worker {
 public:
  Worker(worker_internal::Meeting* meeting, int index, int count)
      : meeting_(meeting), index_(index), count_(count) {}

  int index() const { return index_; }
  int count() const { return count_; }

  /// Returns when every worker has called it; what they wrote before is visible to all.
  void barrier() const {
    if (count_ > 1) meet();
  }

  /// for (i = 0; i < items; ++i) body(i), each item on one of the workers, in any order; a barrier
  /// follows. Items are claimed one by one in ascending order, so a slow worker takes fewer.
  template <typename Body>
  void for_each(int64_t items, const Body& body) const {
    if (count_ == 1) {
      for (int64_t i = 0; i < items; ++i) body(i);
      return;
    }
    for (int64_t i = index_; i < items; i = count_ + claim()) body(i);
    meet();
  }

  /// body() on worker 0; a barrier follows.
  template <typename Body>
  void single(const Body& body) const {
    if (index_ == 0) body();
    barrier();
  }

 private:
  int64_t claim() const { return meeting_->claimed.fetch_add(1, std::memory_order_relaxed); }
  void meet() const;

  worker_internal::Meeting* meeting_;
  int index_;
  int count_;
};

/// Cores that this process may run on, at least 1.
int allowed_cores();

/// The team. One run at a time; the calling thread takes part in it.
class WorkerTeam {
 public:
  /// threads: 1..256 in all, the caller included; 0 takes one per core that this process may run
  /// on. Errors: invalid_argument, out_of_memory.
  static Result<WorkerTeam> create(int threads);

  WorkerTeam(WorkerTeam&&) noexcept = default;
  WorkerTeam& operator=(WorkerTeam&&) noexcept = default;

  int thread_count() const;

  /// body(worker) on every thread of the team at the same time; returns when all have returned.
  /// Allocates nothing.
  template <typename Body>
  void run(const Body& body) const {
    dispatch(&invoke<Body>, const_cast<Body*>(&body));
  }

 private:
  struct Deleter {
    void operator()(pthreadpool* pool) const;
  };

  template <typename Body>
  static void invoke(void* body, const Worker& worker) {
    (*static_cast<const Body*>(body))(worker);
  }
  void dispatch(void (*body)(void*, const Worker&), void* context) const;

  explicit WorkerTeam(pthreadpool* pool)
      : pool_(pool), meeting_(std::make_unique<worker_internal::Meeting>()) {}

  std::unique_ptr<pthreadpool, Deleter> pool_;
  std::unique_ptr<worker_internal::Meeting> meeting_;
};

}  // namespace midge
