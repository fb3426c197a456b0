// What a team does in time, on idle cores.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/platform/worker_team.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

// Two workers, of which one repeats all of its work: it does a third of the whole, and the loop
// takes as long as with a core that is half as fast.
TEST(WorkerTeam, ASlowWorkerCostsItsShare) {
  const auto team = WorkerTeam::create(2);
  MIDGE_ASSERT_OK(team);
  if (!team->pins()) GTEST_SKIP() << "one core";
  constexpr int64_t kItems = 256;
  std::atomic<uint64_t> sink = 0;
  const auto work = [&] {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 20000; ++i) sum = sum * 31 + (i ^ sum >> 7);
    sink += sum;
  };
  // slow: how often worker 1 does each of its items. The best of several runs.
  std::vector<int64_t> done(2);
  const auto seconds = [&](int slow) {
    double best = 1e9;
    for (int run = 0; run < 12; ++run) {
      const auto start = std::chrono::steady_clock::now();
      std::fill(done.begin(), done.end(), 0);
      team->run([&](const Worker& worker) {
        for (int loop = 0; loop < 8; ++loop) {
          worker.for_each(
              kItems,
              [&](int64_t) {
                for (int i = 0; i < (worker.index() == 1 ? slow : 1); ++i) work();
                ++done[static_cast<size_t>(worker.index())];
              },
              1);
        }
      });
      best = std::min(
          best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
  };
  const double equal = seconds(1);
  const double unequal = seconds(2);
  RecordProperty("ratio", std::to_string(unequal / equal));
  EXPECT_NEAR(static_cast<double>(done[0]), 2.0 / 3 * 8 * kItems, 0.1 * 8 * kItems);
  // 2 / (1 + 1/2), within 10 %.
  EXPECT_LE(unequal / equal, 1.1 * 4 / 3);
}

}  // namespace
}  // namespace midge
