#include "engine/platform/worker_team.h"

#include <pthreadpool.h>
#include <sched.h>

namespace midge {
namespace {

constexpr int kThreadsMax = 256;

int allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

}  // namespace

void WorkerTeam::Deleter::operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }

Result<WorkerTeam> WorkerTeam::create(int threads) {
  if (threads < 0 || threads > kThreadsMax) {
    return make_status(StatusCode::kInvalidArgument, "%d threads, expected 0..%d", threads,
                       kThreadsMax);
  }
  pthreadpool* pool =
      pthreadpool_create(static_cast<size_t>(threads == 0 ? allowed_cores() : threads));
  if (pool == nullptr) {
    return make_status(StatusCode::kOutOfMemory, "cannot start %d worker threads", threads);
  }
  return WorkerTeam(pool);
}

int WorkerTeam::thread_count() const {
  return static_cast<int>(pthreadpool_get_threads_count(pool_.get()));
}

void WorkerTeam::run(void (*task)(void*, size_t), void* context, size_t count) const {
  pthreadpool_parallelize_1d(pool_.get(), task, context, count, 0);
}

}  // namespace midge
