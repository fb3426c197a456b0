// The threads that compute, one team for every parallel loop (XNNPACK's included).
#pragma once

#include <cstddef>
#include <memory>

#include "engine/core/status.h"

struct pthreadpool;

namespace midge {

/// A pthreadpool. One parallel loop at a time; the calling thread takes part in it.
class WorkerTeam {
 public:
  /// threads: 1..256 in all, the caller included; 0 takes one per core that this process may run
  /// on. Errors: invalid_argument, out_of_memory.
  static Result<WorkerTeam> create(int threads);

  WorkerTeam(WorkerTeam&&) noexcept = default;
  WorkerTeam& operator=(WorkerTeam&&) noexcept = default;

  int thread_count() const;
  pthreadpool* pool() const { return pool_.get(); }

  /// for (i = 0; i < count; ++i) body(i), in any order and in parallel. Allocates nothing.
  template <typename Body>
  void for_each(size_t count, const Body& body) const {
    run(&invoke<Body>, const_cast<Body*>(&body), count);
  }

 private:
  struct Deleter {
    void operator()(pthreadpool* pool) const;
  };

  template <typename Body>
  static void invoke(void* body, size_t i) {
    (*static_cast<const Body*>(body))(i);
  }
  void run(void (*task)(void*, size_t), void* context, size_t count) const;

  explicit WorkerTeam(pthreadpool* pool) : pool_(pool) {}

  std::unique_ptr<pthreadpool, Deleter> pool_;
};

}  // namespace midge
