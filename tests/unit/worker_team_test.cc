#include "engine/platform/worker_team.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"

namespace midge {
namespace {

TEST(WorkerTeam, EveryWorkerRunsOnce) {
  for (const int threads : {1, 2, 7}) {
    const auto team = WorkerTeam::create(threads);
    MIDGE_ASSERT_OK(team);
    EXPECT_EQ(team->thread_count(), threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(threads));
      team->run([&](const Worker& worker) {
        EXPECT_EQ(worker.count(), threads);
        visits[static_cast<size_t>(worker.index())].fetch_add(1);
      });
      for (const auto& visit : visits) EXPECT_EQ(visit.load(), 1);
    }
  }
}

TEST(WorkerTeam, ForEachVisitsEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    const auto team = WorkerTeam::create(threads);
    MIDGE_ASSERT_OK(team);
    for (const size_t count : {size_t{0}, size_t{1}, size_t{6}, size_t{1000}}) {
      std::vector<std::atomic<int>> visits(count);
      team->run([&](const Worker& worker) {
        worker.for_each(static_cast<int64_t>(count),
                        [&](int64_t i) { visits[static_cast<size_t>(i)].fetch_add(1); });
      });
      for (const auto& visit : visits) EXPECT_EQ(visit.load(), 1);
    }
  }
}

// Plain numbers, written between barriers by one worker and read by the others.
TEST(WorkerTeam, BarriersOrderWhatWorkersWrite) {
  const auto team = WorkerTeam::create(2);
  MIDGE_ASSERT_OK(team);
  int64_t shared = 0;
  std::atomic<int64_t> wrong = 0;
  constexpr int64_t kRounds = 20000;
  team->run([&](const Worker& worker) {
    for (int64_t round = 0; round < kRounds; ++round) {
      if (round % worker.count() == worker.index()) ++shared;
      worker.barrier();
      if (shared != round + 1) ++wrong;
      worker.barrier();
    }
    int64_t sum = 0;
    worker.single([&] { sum = ++shared; });
    if (worker.index() != 0 && sum != 0) ++wrong;
  });
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(shared, kRounds + 1);
}

TEST(WorkerTeam, Limits) {
  EXPECT_EQ(WorkerTeam::create(-1).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(WorkerTeam::create(257).status().code(), StatusCode::kInvalidArgument);
  const auto automatic = WorkerTeam::create(0);
  MIDGE_ASSERT_OK(automatic);
  EXPECT_GE(automatic->thread_count(), 1);
}

int threads_of_process() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    count += !task.path().empty();
  }
  return count;
}

TEST(WorkerTeam, LeavesNoThreadBehind) {
  const int before = threads_of_process();
  for (int i = 0; i < 100; ++i) {
    const auto team = WorkerTeam::create(1 + i % 4);
    MIDGE_ASSERT_OK(team);
    std::atomic<int> runs = 0;
    if (i % 3 != 0) team->run([&](const Worker&) { ++runs; });
    EXPECT_EQ(runs.load(), i % 3 != 0 ? 1 + i % 4 : 0);
  }
  // A thread that was joined is listed for a moment longer.
  for (int i = 0; i < 200 && threads_of_process() > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(threads_of_process(), before);
}

// The threads stay with the parent: in the child the caller works alone, and nothing waits for
// them.
TEST(WorkerTeam, WorksInAForkedProcess) {
  auto team = WorkerTeam::create(3);
  MIDGE_ASSERT_OK(team);
  std::atomic<int64_t> sum = 0;
  const auto count = [&](const Worker& worker) {
    worker.for_each(100, [&](int64_t i) { sum += i; });
  };
  team->run(count);
  ASSERT_EQ(sum.load(), 4950);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    sum = 0;
    team->run(count);
    {
      const WorkerTeam end = std::move(*team);
    }
    ::_exit(sum == 4950 ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0) << state;
  sum = 0;
  team->run(count);
  EXPECT_EQ(sum.load(), 4950);
}

cpu_set_t mask_of_thread() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(::sched_getaffinity(0, sizeof(mask), &mask), 0);
  return mask;
}

TEST(WorkerTeam, PinsEachWorkerToItsCoreForTheRunOnly) {
  const auto team = WorkerTeam::create(0);
  MIDGE_ASSERT_OK(team);
  if (!team->pins() || team->thread_count() == 1) GTEST_SKIP() << "no pinning here";
  const cpu_set_t before = mask_of_thread();
  std::vector<int> cores(static_cast<size_t>(team->thread_count()), -1);
  team->run([&](const Worker& worker) {
    const cpu_set_t mask = mask_of_thread();
    if (CPU_COUNT(&mask) != 1) return;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(static_cast<size_t>(i), &mask)) cores[static_cast<size_t>(worker.index())] = i;
    }
  });
  const cpu_set_t after = mask_of_thread();
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  if (!team->pin_refusal().empty()) GTEST_SKIP() << team->pin_refusal();
  EXPECT_EQ(cores, team->choice().of(PassClass::kPanel).cores);
}

// As the system does when cores go, or an app comes back from the background.
TEST(WorkerTeam, PinsAgainWhatTheSystemMoved) {
  const auto team = WorkerTeam::create(0);
  MIDGE_ASSERT_OK(team);
  if (!team->pins() || team->thread_count() == 1) GTEST_SKIP() << "no pinning here";
  const cpu_set_t all = mask_of_thread();
  team->run([](const Worker&) {});
  if (!team->pin_refusal().empty()) GTEST_SKIP() << team->pin_refusal();
  team->run([&](const Worker& worker) {
    if (worker.index() == 0) return;
    EXPECT_EQ(::sched_setaffinity(0, sizeof(all), &all), 0);
  });
  std::atomic<int> pinned = 0;
  team->run([&](const Worker&) {
    const cpu_set_t mask = mask_of_thread();
    pinned += CPU_COUNT(&mask) == 1;
  });
  EXPECT_EQ(pinned.load(), team->thread_count());
}

// A log may be read, and may go, as soon as the run has ended, also if a worker sleeps at its end.
TEST(WorkerTeam, LogsAreDoneWithWhenTheRunEnds) {
  if (!kHasProfiler) GTEST_SKIP() << "no profiler in this build";
  const auto team = WorkerTeam::create(2);
  MIDGE_ASSERT_OK(team);
  EventLog logs[] = {EventLog(64), EventLog(64)};
  team->run([&](const Worker& worker) {
    worker.keep_log(&logs[worker.index()]);
    worker.barrier();
    if (worker.index() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  const size_t events = logs[1].events().size();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(logs[1].events().size(), events);
}

TEST(WorkerTeam, DoesNotPinWhereItIsToldNotTo) {
  TeamOptions options;
  options.pins = false;
  const auto team = WorkerTeam::create(options);
  MIDGE_ASSERT_OK(team);
  const cpu_set_t before = mask_of_thread();
  std::atomic<int> changed = 0;
  team->run([&](const Worker&) {
    const cpu_set_t mask = mask_of_thread();
    if (!CPU_EQUAL(&mask, &before)) ++changed;
  });
  EXPECT_EQ(changed.load(), 0);
}

// A recorded phone on a machine that has not its cores: pinning is refused, told of and lived with.
TEST(WorkerTeam, LivesWithRefusedMasks) {
  TeamOptions options;
  Result<Topology> server =
      replay_topology(std::string(MIDGE_TEST_DATA) + "/topologies/graviton-3.txt");
  MIDGE_ASSERT_OK(server);
  options.topology = *server;
  options.request.cores = "60-63";
  const auto team = WorkerTeam::create(options);
  MIDGE_ASSERT_OK(team);
  if (allowed_core_numbers().back() >= 60) GTEST_SKIP() << "this machine has these cores";
  std::atomic<int> runs = 0;
  team->run([&](const Worker&) { ++runs; });
  EXPECT_EQ(runs.load(), 4);
  EXPECT_FALSE(team->pin_refusal().empty());
}

// As under taskset, or in a control group of one core.
TEST(WorkerTeam, KeepsToARestrictedMask) {
  const cpu_set_t before = mask_of_thread();
  const int core = allowed_core_numbers().back();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(core), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  const auto automatic = WorkerTeam::create(0);
  const auto more_than_cores = WorkerTeam::create(3);
  TeamOptions forbidden;
  forbidden.request.cores = std::to_string(core + 1);
  const Status refused = WorkerTeam::create(forbidden).status();
  EXPECT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
  MIDGE_ASSERT_OK(automatic);
  EXPECT_EQ(automatic->thread_count(), 1);
  MIDGE_ASSERT_OK(more_than_cores);
  EXPECT_FALSE(more_than_cores->pins());
  std::atomic<int> runs = 0;
  more_than_cores->run([&](const Worker&) { ++runs; });
  EXPECT_EQ(runs.load(), 3);
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("expected of those it has: " + std::to_string(core)),
            std::string::npos)
      << refused.message();
}

TEST(WorkerTeam, ClassesRunOnTheirOwnCores) {
  Topology topology = detect_topology();
  TeamOptions options;
  options.topology = topology;
  const auto team = WorkerTeam::create(options);
  MIDGE_ASSERT_OK(team);
  CoreRates rates = estimate_rates(topology);
  rates.reads = {{1, 10e9}, {static_cast<int>(topology.cores.size()), 10e9}};
  team->use_rates(rates);
  const auto workers = [&](PassClass c) {
    std::atomic<int> count = 0;
    team->run(c, [&](const Worker& worker) { count = worker.count(); });
    return count.load();
  };
  if (!team->pins()) GTEST_SKIP() << "no pinning here";
  EXPECT_EQ(workers(PassClass::kRow), 1);
  EXPECT_EQ(workers(PassClass::kPanel), team->thread_count());
}

double cpu_seconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(WorkerTeam, TakesNoTimeWhileItIsIdle) {
  const auto team = WorkerTeam::create(3);
  MIDGE_ASSERT_OK(team);
  team->run([](const Worker&) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until all are parked
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_LT(cpu_seconds() - before, 0.005);
}

}  // namespace
}  // namespace midge
