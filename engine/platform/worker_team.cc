#include "engine/platform/worker_team.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace midge {
namespace {

constexpr int kThreadsMax = 256;

int allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// pthreadpool waits for ever for threads that the system refused to start, so ask first: starts
// `count` threads that are all alive at once, then lets them go.
bool can_start_threads(int count) {
  std::mutex gate;
  std::unique_lock<std::mutex> closed(gate);
  std::vector<pthread_t> threads;
  threads.reserve(static_cast<size_t>(count));
  const auto wait = [](void* context) -> void* {
    const std::lock_guard<std::mutex> open(*static_cast<std::mutex*>(context));
    return nullptr;
  };
  bool good = true;
  for (int i = 0; i < count && good; ++i) {
    pthread_t thread;
    good = ::pthread_create(&thread, nullptr, wait, &gate) == 0;
    if (good) threads.push_back(thread);
  }
  closed.unlock();
  for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  return good;
}

}  // namespace

void WorkerTeam::Deleter::operator()(pthreadpool* pool) const { pthreadpool_destroy(pool); }

Result<WorkerTeam> WorkerTeam::create(int threads) {
  if (threads < 0 || threads > kThreadsMax) {
    return make_status(StatusCode::kInvalidArgument, "%d threads, expected 0..%d", threads,
                       kThreadsMax);
  }
  if (threads == 0) threads = std::min(allowed_cores(), kThreadsMax);
  pthreadpool* pool = nullptr;
  if (can_start_threads(threads - 1)) pool = pthreadpool_create(static_cast<size_t>(threads));
  if (pool == nullptr) {
    return make_status(StatusCode::kOutOfMemory, "cannot start %d worker threads", threads);
  }
  return WorkerTeam(pool);
}

int WorkerTeam::thread_count() const {
  return static_cast<int>(pthreadpool_get_threads_count(pool_.get()));
}

#if defined(__SANITIZE_THREAD__)

// The thread sanitizer does not see how an uninstrumented pthreadpool orders its threads, so tell
// it: what the caller did is before every task, and every task is before what the caller does next.
void WorkerTeam::run(void (*task)(void*, size_t), void* context, size_t count) const {
  struct Traced {
    void (*task)(void*, size_t);
    void* context;
  };
  Traced traced = {task, context};
  const auto run_traced = [](void* pointer, size_t i) {
    auto* inner = static_cast<Traced*>(pointer);
    __tsan_acquire(inner);
    inner->task(inner->context, i);
    __tsan_release(inner);
  };
  __tsan_release(&traced);
  pthreadpool_parallelize_1d(pool_.get(), run_traced, &traced, count, 0);
  __tsan_acquire(&traced);
}

#else

void WorkerTeam::run(void (*task)(void*, size_t), void* context, size_t count) const {
  pthreadpool_parallelize_1d(pool_.get(), task, context, count, 0);
}

#endif

}  // namespace midge
