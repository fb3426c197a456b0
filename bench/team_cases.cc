// What it costs to bring the workers together: the loops of a decoded token of Phi-4-mini with
// nothing in them, by the team and by a parallel loop of pthreadpool for each.
#include <memory>
#include <string>

#include <pthreadpool.h>

#include "bench/cases.h"
#include "engine/platform/worker_team.h"

namespace midge::bench {
namespace {

// Of 32 layers 11 each: quantised inputs, products, rope, attention; and of the ends of the pass.
// Four of eleven are products, whose work is counted.
constexpr int kLoops = 32 * 11 + 4;
constexpr bool is_product(int loop) { return loop % 11 % 3 == 1; }
// Items of a loop, as many as a small matrix has tasks.
constexpr int64_t kItems = 32;

Prepared team_step(int threads) {
  Prepared p;
  Result<WorkerTeam> team = WorkerTeam::create(threads);
  if (!team.ok()) {
    p.error = team.status().message();
    return p;
  }
  p.call = [team = std::make_shared<WorkerTeam>(std::move(*team))](int64_t) {
    team->run(PassClass::kRow, [](const Worker& worker) {
      for (int i = 0; i < kLoops; ++i) {
        worker.for_each(kItems, [](int64_t) {}, is_product(i) ? 1 : 0);
      }
    });
  };
  return p;
}

Prepared pool_step(int threads) {
  Prepared p;
  const std::shared_ptr<pthreadpool> pool(pthreadpool_create(static_cast<size_t>(threads)),
                                          pthreadpool_destroy);
  if (pool == nullptr) {
    p.error = "no pthreadpool";
    return p;
  }
  p.call = [pool](int64_t) {
    for (int i = 0; i < kLoops; ++i) {
      pthreadpool_parallelize_1d(
          pool.get(), [](void*, size_t) {}, nullptr, static_cast<size_t>(kItems), 0);
    }
  };
  return p;
}

}  // namespace

void add_team_cases(const Machine& machine) {
  for (const int threads : {1, 2, 4, 8}) {
    if (threads > allowed_cores()) break;
    const std::string end = "/phi4_mini.token/threads:" + std::to_string(threads);
    add_case(machine, "team/loops" + end, [threads] { return team_step(threads); });
    add_case(machine, "team/pthreadpool_per_loop" + end, [threads] { return pool_step(threads); });
  }
}

}  // namespace midge::bench
