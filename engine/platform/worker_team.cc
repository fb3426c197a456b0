// Long, as it is one state machine: seats, the threads that sit in them, and how a pass calls them,
// meets and lets go. What it decides by is in core_watch.cc and loop_shares.cc.
#include "engine/platform/worker_team.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <pthreadpool.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/check.h"
#include "engine/core/exceptions.h"
#include "engine/platform/core_watch.h"
#include "engine/platform/loop_shares.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace midge {
namespace {

constexpr int kThreadsMax = 256;
constexpr double kNano = 1e-9;
// How long a worker waits awake. A barrier: longer than any two workers of a healthy step are
// apart; after that a core is missing, and spinning would keep the thread that everybody waits for
// from running, so it yields. Then it sleeps: at a barrier, for the rest of another's time slice;
// between steps, after what lies between the steps of an answer.
constexpr int64_t kSpinNanos = 20'000;
constexpr int64_t kYieldNanos = 1'000'000;
constexpr int64_t kParkNanos = 2'000'000;
// Between looks at the rates of the workers within a step: prompts take seconds.
constexpr int64_t kLearnNanos = 5'000'000;
// For items that others are said to be sooner done with, in loops that are not timed.
constexpr int64_t kPatienceNanos = 50'000;
// A probe spins for longer than the system lets a thread that has just woken up go on.
constexpr int64_t kProbeNanos = 12'000'000;
constexpr double kProbeAway = 0.02;
// A worker that wakes later than this waited for its core.
constexpr double kWakeSeconds = 500e-6;
// Without a thread to probe it, a busy core is tried again after this.
constexpr double kRetrySeconds = 2;

int64_t now_nanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// That this thread has spent on a core.
int64_t cpu_nanos() {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  // "yield" does nothing on cores without threads of their own, so that loops of it would load the
  // line that others wait to write. This empties the pipeline: tens of cycles.
  asm volatile("isb" ::: "memory");
#endif
}

// Of passes and barriers, which begin anew after 2^32. Of int, as that is what systems wait on.
int next_number(int number) { return static_cast<int>(static_cast<unsigned>(number) + 1); }

// Waits awake for at most kSpinNanos; whether it still waits().
template <typename Waits>
inline bool spins_in_vain(const Waits& waits) {
  constexpr int kPauses = 64;  // between looks at the clock, which takes as long as some of them
  int64_t until = 0;
  for (;;) {
    for (int i = 0; i < kPauses; ++i) {
      if (!waits()) return false;
      pause();
    }
    const int64_t now = now_nanos();
    if (until == 0) until = now + kSpinNanos;
    if (now >= until) return true;
  }
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

/// Keeps the calling thread on a core, or lets it go where it could go at first.
class Placement {
 public:
  Placement() {
    CPU_ZERO(&before_);
    knows_before_ = ::sched_getaffinity(0, sizeof(before_), &before_) == 0;
  }

  // core: a number; -1: none, but those of `within`, if there are any. Returns 0 or an errno; what
  // the system says it did counts.
  int put(int core, const std::vector<int>& within = {}) {
    if (!knows_before_) return EPERM;
    const bool is_free = core < 0 && within.empty();
    if (is_free && is_free_) return 0;
    cpu_set_t wanted = before_;
    if (core < 0 && !is_free) {
      CPU_ZERO(&wanted);
      for (const int other : within) CPU_SET(static_cast<size_t>(other), &wanted);
    }
    if (core >= 0) {
      CPU_ZERO(&wanted);
      CPU_SET(static_cast<size_t>(core), &wanted);
    }
    // Asked anew each time: the system takes cores away, and gives them back.
    if (has(wanted)) return settle(is_free);
    is_free_ = false;
    // 0 is the calling thread; Android has no pthread_setaffinity_np.
    if (::sched_setaffinity(0, sizeof(wanted), &wanted) != 0) return errno;
    return has(wanted) ? settle(is_free) : EBUSY;
  }

 private:
  static bool has(const cpu_set_t& wanted) {
    cpu_set_t got;
    CPU_ZERO(&got);
    return ::sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &wanted);
  }
  int settle(bool is_free) {
    is_free_ = is_free;
    return 0;
  }

  cpu_set_t before_;
  bool knows_before_;
  bool is_free_ = true;  // where it could go at first
};

}  // namespace

int allowed_cores() { return static_cast<int>(allowed_core_numbers().size()); }

namespace worker_internal {

// What the workers of a running step share.
struct Meeting {
  // On one cache line: whoever arrives last has it already when it opens the barrier.
  alignas(64) std::atomic<int> arrived = 0;
  std::atomic<int> epoch = 0;
  // Of whoever arrives last at a barrier, while the others wait.
  alignas(64) int64_t learned = 0;
  LoopShares* shares = nullptr;
  std::vector<LoopShares::Progress> progress;  // of the workers, since then

  void learn(int64_t now, int count) {
    const std::span<LoopShares::Progress> made(progress.data(), static_cast<size_t>(count));
    shares->learn(made);
    std::fill(made.begin(), made.end(), LoopShares::Progress());
    learned = now;
  }
};

// What a thread is called for.
struct Call {
  enum class Kind : uint8_t { kRun, kProbe, kStop };
  Kind kind = Kind::kStop;
  int index = 0;
  int count = 1;
  int core = -1;  // number; -1: not pinned
  int core_type = 0;
  void (*body)(void*, const Worker&) = nullptr;
  void* context = nullptr;
  int64_t called = 0;
};

// A thread of the team, and worker 0's place.
struct alignas(64) Seat {
  std::atomic<int> calls = 0;
  std::atomic<int> probing = 0;  // 1: runs, 2: found the core idle, 3: found it busy
  Call call;
  WorkerReading reading;
  int refusal = 0;  // errno of the last time that it was not pinned as asked
};

struct Team {
  Team(const TeamOptions& options, Topology of, CoreChoice chosen, int threads)
      : topology(std::move(of)),
        request(options.request),
        choice(std::move(chosen)),
        pins(options.pins),
        watch(topology, estimate_rates(topology), choice, pins),
        shares(threads),
        seats(static_cast<size_t>(threads)),
        equal_rates(static_cast<size_t>(threads), 1),
        pid(::getpid()) {
    meeting.shares = &shares;
    meeting.progress.resize(static_cast<size_t>(threads));
    reset_work();
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  ~Team() {
    if (pool == nullptr) return;
    if (::getpid() != pid) {
      // The threads stayed behind in the parent: nobody to stop, nobody to wait for.
      host.detach();
      return;
    }
    await_probe();
    for (size_t i = 1; i < seats.size(); ++i) {
      seats[i].call.kind = Call::Kind::kStop;
      call(seats[i]);
    }
    host.join();
    pthreadpool_destroy(pool);
  }

  int threads() const { return static_cast<int>(seats.size()); }
  void reset_work();
  Status start_threads();
  static void call(Seat& seat);
  void live(Seat& seat);
  void run(PassClass c, void (*body)(void*, const Worker&), void* context);
  void run_as_worker(Seat& seat, Placement& placement);
  void probe(Seat& seat, Placement& placement);
  void settle_probe();
  void start_probe(int used, double now);
  void await_probe() const;

  Topology topology;
  CoreRequest request;
  CoreChoice choice;
  bool pins;
  CoreWatch watch;
  LoopShares shares;
  Meeting meeting;
  std::vector<Seat> seats;
  std::vector<double> equal_rates;
  std::vector<int> confined_to;  // where workers that are not pinned may run; empty: anywhere
  std::string why_not_pinned;
  std::vector<WorkerReading> readings;
  std::vector<CoreWork> work;  // [class][place, and one for workers that are not pinned]
  int probed_core = -1;        // place, by the last seat
  pid_t pid;
  int last_refusal = 0;
  pthreadpool* pool = nullptr;
  std::thread host;
};

void Team::reset_work() {
  work.clear();
  for (int c = 0; c < kPassClassCount; ++c) {
    for (const int core : watch.cores()) {
      work.push_back({static_cast<PassClass>(c), core, 0, 0, 0, 0, 0});
    }
    work.push_back({static_cast<PassClass>(c), -1, 0, 0, 0, 0, 0});
  }
  readings.resize(seats.size());
}

Status Team::start_threads() {
  const size_t others = seats.size() - 1;
  if (others == 0) return Status();
  const auto refuse = [&] {
    return make_status(StatusCode::kOutOfMemory, "cannot start %zu worker threads", others);
  };
  if (!can_start_threads(static_cast<int>(others))) return refuse();
  pthreadpool* created = pthreadpool_create(others);
  if (created == nullptr) return refuse();
  MIDGE_TRY {
    host = std::thread([this, created, others] {
      const auto body = [](void* context, size_t i) {
        auto* team = static_cast<Team*>(context);
#if defined(__SANITIZE_THREAD__)
        // The sanitizer does not see how an uninstrumented pthreadpool orders its threads.
        __tsan_acquire(team);
#endif
        team->live(team->seats[i + 1]);
      };
#if defined(__SANITIZE_THREAD__)
      __tsan_release(this);
#endif
      pthreadpool_parallelize_1d(created, body, this, others, 0);
    });
  }
  MIDGE_CATCH(const std::system_error&) {
    pthreadpool_destroy(created);
    return refuse();
  }
  pool = created;
  return Status();
}

void Team::call(Seat& seat) {
  seat.calls.fetch_add(1, std::memory_order_release);
  seat.calls.notify_one();
}

// The life of a thread of the team.
void Team::live(Seat& seat) {
  Placement placement;
  for (int seen = 0;; seen = next_number(seen)) {
    const auto waits = [&] { return seat.calls.load(std::memory_order_acquire) == seen; };
    if (spins_in_vain(waits)) {
      const int64_t since = now_nanos();
      while (waits()) {
        if (now_nanos() - since < kParkNanos) {
          ::sched_yield();
        } else {
          seat.calls.wait(seen, std::memory_order_acquire);
        }
      }
    }
    switch (seat.call.kind) {
      case Call::Kind::kRun: run_as_worker(seat, placement); break;
      case Call::Kind::kProbe: probe(seat, placement); break;
      case Call::Kind::kStop: placement.put(-1); return;
    }
  }
}

void Team::run_as_worker(Seat& seat, Placement& placement) {
  const Call& call = seat.call;
  seat.refusal = placement.put(call.core, confined_to);
  const int64_t started = now_nanos();
  const int64_t cpu_started = cpu_nanos();
  const Worker worker(&meeting, call.index, call.count, call.core_type);
  call.body(call.context, worker);
  const double seconds = static_cast<double>(now_nanos() - started) * kNano;
  const double on_core = static_cast<double>(cpu_nanos() - cpu_started) * kNano;
  const double woken = static_cast<double>(started - call.called) * kNano;
  seat.reading = {worker.busy_, worker.work_,
                  seconds - on_core - worker.slept_ + (woken > kWakeSeconds ? woken : 0), 0};
  // Whoever called may read the logs, or let them go, as soon as all have met.
  worker.keep_log(nullptr);
  worker.barrier();
}

// Wants a core for a while and sees whether it gets it.
void Team::probe(Seat& seat, Placement& placement) {
  const int refusal = placement.put(seat.call.core);
  const int64_t started = now_nanos();
  const int64_t cpu_started = cpu_nanos();
  int64_t now = started;
  while (refusal == 0 && now - started < kProbeNanos) {
    for (int i = 0; i < 32; ++i) pause();
    now = now_nanos();
  }
  const auto wanted = static_cast<double>(now - seat.call.called);
  const auto got = static_cast<double>(cpu_nanos() - cpu_started) + kWakeSeconds / kNano;
  placement.put(-1);
  const bool is_idle = refusal == 0 && got >= (1 - kProbeAway) * wanted;
  seat.probing.store(is_idle ? 2 : 3, std::memory_order_release);
}

// Takes in what a probe found.
void Team::settle_probe() {
  if (probed_core < 0) return;
  const int found = seats.back().probing.load(std::memory_order_acquire);
  if (found < 2) return;
  watch.note_probe(probed_core, found == 3);
  seats.back().probing.store(0, std::memory_order_relaxed);
  probed_core = -1;
}

// Until then the last seat's thread reads its call.
void Team::await_probe() const {
  // In a process that was forked meanwhile there is no such thread.
  while (probed_core >= 0 && ::getpid() == pid &&
         seats.back().probing.load(std::memory_order_acquire) == 1) {
    ::sched_yield();
  }
}

// The last seat probes, if the passes leave it free.
void Team::start_probe(int used, double now) {
  if (probed_core >= 0) return;
  const int place = watch.take_probe(now);
  if (place < 0) return;
  if (used == threads()) {
    watch.note_probe_impossible(place, now + kRetrySeconds);
    return;
  }
  Seat& seat = seats.back();
  probed_core = place;
  seat.probing.store(1, std::memory_order_relaxed);
  seat.call.kind = Call::Kind::kProbe;
  seat.call.core = watch.cores()[static_cast<size_t>(place)];
  seat.call.called = now_nanos();
  call(seat);
}

void Team::run(PassClass c, void (*body)(void*, const Worker&), void* context) {
  const bool is_alone = ::getpid() != pid;
  const int64_t started = now_nanos();
  if (pins && !is_alone) settle_probe();
  const ActiveCores active = watch.active(c);
  // Workers that are more than the cores are placed by the system.
  const int asked =
      pins ? static_cast<int>(active.cores.size()) : static_cast<int>(choice.of(c).cores.size());
  const int count = is_alone ? 1 : std::clamp(asked, 1, threads());
  const bool is_watched = pins && !is_alone && active.is_pinned;
  // One worker among cores that are alike: the system finds it an idle one, also beside another
  // process that would be pinned to the same.
  const bool pinned = is_watched && (count > 1 || topology.clusters.size() > 1);
  shares.start(is_watched ? active.rates.first(static_cast<size_t>(count))
                          : std::span<const double>(equal_rates).first(static_cast<size_t>(count)),
               is_watched && active.are_measured);
  meeting.learned = started;
  if (count == threads() && !is_alone) await_probe();
  for (int i = count - 1; i >= 0; --i) {
    Call& call_of = seats[static_cast<size_t>(i)].call;
    call_of = {Call::Kind::kRun, i, count, -1, 0, body, context, started};
    if (pinned) {
      const auto place = static_cast<size_t>(active.cores[static_cast<size_t>(i)]);
      call_of.core = watch.cores()[place];
      call_of.core_type = topology.find(call_of.core)->type;
    }
    if (i > 0) call(seats[static_cast<size_t>(i)]);
  }
  {
    Placement placement;
    run_as_worker(seats[0], placement);
    placement.put(-1);
  }
  if (is_alone) return;
  const int64_t ended = now_nanos();
  meeting.learn(ended, count);
  const double seconds = static_cast<double>(ended - started) * kNano;
  const double now = static_cast<double>(ended) * kNano;
  const size_t row = static_cast<size_t>(c) * (watch.cores().size() + 1);
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    readings[at] = seats[at].reading;
    if (shares.are_measured()) readings[at].rate = shares.rates()[at];
    if (seats[at].refusal != 0) last_refusal = seats[at].refusal;
    const size_t column = pinned ? static_cast<size_t>(active.cores[at]) : watch.cores().size();
    CoreWork& sum = work[row + column];
    // Workers that are not pinned share a line: what is the mean of them.
    const double part = pinned ? 1 : 1.0 / count;
    if (pinned || i == 0) {
      ++sum.passes;
      sum.seconds += seconds;
    }
    sum.busy += part * readings[at].busy;
    sum.away += part * readings[at].away;
    sum.work += readings[at].work;
  }
  if (!pins) return;
  if (is_watched)
    watch.note_pass(c, std::span(readings).first(static_cast<size_t>(count)), seconds, now);
  // What ended beside a long pass counts for the next one already.
  settle_probe();
  start_probe(count, now);
}

}  // namespace worker_internal

Worker::Worker(worker_internal::Meeting* meeting, int index, int count, int core_type)
    : meeting_(meeting), index_(index), count_(count), core_type_(core_type) {}

Worker::Loop Worker::begin_loop(int64_t items, double work) const {
  return {items, work, work > 0 ? now_nanos() : 0, 0, loops_++};
}

int64_t Worker::next(Loop& loop) const {
  LoopShares& shares = *meeting_->shares;
  int64_t item = shares.claim(loop.number, loop.items, index_, false);
  if (item == LoopShares::kDecline) {
    // Others are sooner done with what is left; unless they are held up, for as long as an item
    // takes here.
    const int64_t since = now_nanos();
    const int64_t patience = loop.started > 0
                                 ? (since - loop.started) / std::max<int64_t>(1, loop.done)
                                 : kPatienceNanos;
    while (item == LoopShares::kDecline) {
      for (int i = 0; i < 4; ++i) pause();
      item = shares.claim(loop.number, loop.items, index_, now_nanos() - since > patience);
    }
  }
  loop.done += item >= 0;
  return item;
}

void Worker::end_loop(const Loop& loop) const {
  if (loop.work > 0) count_work(loop);
  if (count_ > 1) meet(loop.work > 0);
}

void Worker::count_work(const Loop& loop) const {
  const double busy = static_cast<double>(now_nanos() - loop.started) * kNano;
  const double work = loop.work * static_cast<double>(loop.done);
  busy_ += busy;
  work_ += work;
  LoopShares::Progress& progress = meeting_->progress[static_cast<size_t>(index_)];
  progress.busy += busy;
  progress.work += work;
}

void Worker::meet(bool may_learn) const {
  if (!kHasProfiler || log_ == nullptr) return wait_for_others(may_learn);
  Event event;
  event.kind = kBarrierEvent;
  event.start = EventLog::now();
  wait_for_others(may_learn);
  event.end = EventLog::now();
  log_->add(event);
}

void Worker::wait_for_others(bool may_learn) const {
  worker_internal::Meeting& meeting = *meeting_;
  const int epoch = meeting.epoch.load(std::memory_order_relaxed);
  if (meeting.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
    meeting.arrived.store(0, std::memory_order_relaxed);
    if (may_learn) {
      const int64_t now = now_nanos();
      if (now - meeting.learned >= kLearnNanos) meeting.learn(now, count_);
    }
    meeting.epoch.store(next_number(epoch), std::memory_order_release);
    meeting.epoch.notify_all();
    return;
  }
  const auto waits = [&] { return meeting.epoch.load(std::memory_order_acquire) == epoch; };
  if (!spins_in_vain(waits)) return;
  const int64_t since = now_nanos();
  const int64_t cpu_since = cpu_nanos();
  int64_t now = since;
  while (waits()) {
    if (now - since < kYieldNanos) {
      ::sched_yield();
    } else {
      meeting.epoch.wait(epoch, std::memory_order_acquire);
    }
    now = now_nanos();
  }
  // It did not want its core meanwhile.
  slept_ += static_cast<double>((now - since) - (cpu_nanos() - cpu_since)) * kNano;
}

WorkerTeam::WorkerTeam(std::unique_ptr<worker_internal::Team> team) : team_(std::move(team)) {}
WorkerTeam::WorkerTeam(WorkerTeam&&) noexcept = default;
WorkerTeam& WorkerTeam::operator=(WorkerTeam&&) noexcept = default;
WorkerTeam::~WorkerTeam() = default;

Result<WorkerTeam> WorkerTeam::create(const TeamOptions& options) {
  Topology topology = options.topology.has_value() ? *options.topology : detect_topology();
  MIDGE_ASSIGN_OR_RETURN(CoreChoice choice,
                         choose_cores(topology, estimate_rates(topology), options.request));
  size_t threads = static_cast<size_t>(options.request.threads);
  for (const CoreSet& set : choice.sets) {
    if (options.request.threads == 0) threads = std::max(threads, set.cores.size());
  }
  threads = std::clamp<size_t>(threads, 1, kThreadsMax);
  // More threads than cores: there is nothing to pin all of them to.
  TeamOptions possible = options;
  std::string why_not_pinned;
  for (CoreSet& set : choice.sets) {
    if (set.cores.size() >= threads || options.request.threads == 0) continue;
    if (possible.pins) why_not_pinned = "more threads than cores";
    possible.pins = false;
    set.why = "more threads than cores: the system places them";
    set.cores.resize(threads, set.cores.front());
  }
  auto team = std::make_unique<worker_internal::Team>(possible, std::move(topology),
                                                      std::move(choice), static_cast<int>(threads));
  team->why_not_pinned = why_not_pinned;
  if (!options.request.cores.empty()) {
    team->confined_to = team->choice.of(PassClass::kPanel).cores;
  }
  MIDGE_RETURN_IF_ERROR(team->start_threads());
  return WorkerTeam(std::move(team));
}

Result<WorkerTeam> WorkerTeam::create(int threads) {
  TeamOptions options;
  options.request.threads = threads;
  return create(options);
}

int WorkerTeam::thread_count() const { return team_->threads(); }
const Topology& WorkerTeam::topology() const { return team_->topology; }
const CoreChoice& WorkerTeam::choice() const { return team_->choice; }
bool WorkerTeam::pins() const { return team_->pins; }
const std::vector<int>& WorkerTeam::requested_cores() const { return team_->confined_to; }

std::string WorkerTeam::pin_refusal() const {
  if (team_->last_refusal == 0) return team_->why_not_pinned;
  return std::system_category().message(team_->last_refusal);
}

void WorkerTeam::use_rates(const CoreRates& rates) const {
  worker_internal::Team& team = *team_;
  if (!team.pins) return;
  Result<CoreChoice> choice = choose_cores(team.topology, rates, team.request);
  if (!choice.ok()) return;
  for (CoreSet& set : choice->sets) {
    if (set.cores.size() > team.seats.size()) set.cores.resize(team.seats.size());
  }
  team.await_probe();
  team.seats.back().probing.store(0);
  team.probed_core = -1;
  team.choice = std::move(*choice);
  team.watch = CoreWatch(team.topology, rates, team.choice, team.pins);
  team.reset_work();
}

std::vector<CoreWork> WorkerTeam::work() const {
  std::vector<CoreWork> done;
  for (const CoreWork& sum : team_->work) {
    if (sum.passes > 0) done.push_back(sum);
  }
  return done;
}

void WorkerTeam::dispatch(PassClass c, void (*body)(void*, const Worker&), void* context) const {
  team_->run(c, body, context);
}

}  // namespace midge
