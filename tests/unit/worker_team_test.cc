#include "engine/platform/worker_team.h"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

#include "tests/harness/golden.h"

namespace midge {
namespace {

TEST(WorkerTeam, VisitsEveryIndexOnce) {
  for (const int threads : {1, 2, 7}) {
    const auto team = WorkerTeam::create(threads);
    MIDGE_ASSERT_OK(team);
    EXPECT_EQ(team->thread_count(), threads);
    for (const size_t count : {size_t{0}, size_t{1}, size_t{6}, size_t{1000}}) {
      std::vector<std::atomic<int>> visits(count);
      team->for_each(count, [&](size_t i) { visits[i].fetch_add(1); });
      for (const auto& visit : visits) EXPECT_EQ(visit.load(), 1);
    }
  }
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
