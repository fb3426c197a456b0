#include "engine/platform/worker_team.h"

#include <atomic>
#include <vector>

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

}  // namespace
}  // namespace midge
