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

int allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

namespace {

constexpr int kThreadsMax = 256;

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

namespace {

struct Dispatch {
  void (*body)(void*, const Worker&);
  void* context;
  worker_internal::Meeting* meeting;
  int count;
};

// pthreadpool hands out `count` items to its `count` threads. A thread that took one stays in it
// until all have met at the barriers, so each thread takes exactly one.
void run_worker(void* pointer, size_t index) {
  auto* dispatch = static_cast<Dispatch*>(pointer);
#if defined(__SANITIZE_THREAD__)
  // The sanitizer does not see how an uninstrumented pthreadpool orders its threads, so tell it:
  // what the caller did is before every worker, and every worker before what the caller does next.
  __tsan_acquire(dispatch);
#endif
  const Worker worker(dispatch->meeting, static_cast<int>(index), dispatch->count);
  dispatch->body(dispatch->context, worker);
  worker.barrier();
#if defined(__SANITIZE_THREAD__)
  __tsan_release(dispatch);
#endif
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void Worker::meet() const {
  // About 50 us of spinning: longer than any two workers of a healthy step are apart. After that a
  // core is missing (more threads than cores, another program), and spinning would keep the thread
  // that everybody waits for from running.
  constexpr int kSpins = 1000;
  const uint32_t epoch = meeting_->epoch.load(std::memory_order_relaxed);
  if (meeting_->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 ==
      static_cast<uint32_t>(count_)) {
    meeting_->arrived.store(0, std::memory_order_relaxed);
    meeting_->claimed.store(0, std::memory_order_relaxed);
    meeting_->epoch.store(epoch + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; meeting_->epoch.load(std::memory_order_acquire) == epoch; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      ::sched_yield();
    }
  }
}

void WorkerTeam::dispatch(void (*body)(void*, const Worker&), void* context) const {
  Dispatch dispatch = {body, context, meeting_.get(), thread_count()};
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&dispatch);
#endif
  pthreadpool_parallelize_1d(pool_.get(), run_worker, &dispatch,
                             static_cast<size_t>(dispatch.count), 0);
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&dispatch);
#endif
}

}  // namespace midge
