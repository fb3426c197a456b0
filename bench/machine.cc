#include "bench/machine.h"

#include <algorithm>
#include <ctime>

#include <benchmark/benchmark.h>

#include "bench/limits/peak_loop.h"
#include "engine/calibration/operands.h"
#include "engine/core/checked_math.h"
#include "engine/platform/cpu_features.h"

namespace midge::bench {
namespace {

// Where the system does not tell.
constexpr int64_t kDefaultL2Bytes = 512 << 10;
constexpr int64_t kDefaultLlcBytes = 16 << 20;
constexpr int64_t kMinWeightsBytes = 32 << 20;

void read_cache_sizes(Machine* machine) {
  for (const benchmark::CPUInfo::CacheInfo& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.type == "Instruction") continue;
    if (cache.level == 2) machine->l2_bytes = std::max<int64_t>(machine->l2_bytes, cache.size);
    machine->llc_bytes = std::max<int64_t>(machine->llc_bytes, cache.size);
  }
  if (machine->l2_bytes == 0) machine->l2_bytes = kDefaultL2Bytes;
  if (machine->llc_bytes == 0) machine->llc_bytes = kDefaultLlcBytes;
}

}  // namespace

double thread_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double best_seconds(const std::function<void()>& call, int calls, double budget) {
  double best = 0;
  double total = 0;
  for (int i = 0; i < calls || total < budget; ++i) {
    const double start = thread_seconds();
    call();
    const double seconds = thread_seconds() - start;
    best = i == 0 ? seconds : std::min(best, seconds);
    total += std::max(seconds, 1e-7);
  }
  return best;
}

uint64_t sum_weights(const Machine& machine) {
  const auto* words = reinterpret_cast<const uint64_t*>(machine.weights.data());
  const int64_t count = machine.weights.bytes() / 8;
  uint64_t sums[16] = {};  // of their own, so that the compiler makes vectors of them
  for (int64_t i = 0; i < count; i += 16) {
    for (int64_t j = 0; j < 16; ++j) sums[j] += words[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

Result<Machine> Machine::measure() {
  Machine machine;
  machine.features = detect_cpu_features();
  read_cache_sizes(&machine);
  MIDGE_ASSIGN_OR_RETURN(
      machine.weights,
      random_weights(round_up(std::max(3 * machine.llc_bytes, kMinWeightsBytes), 4096)));
  const double pass = best_seconds([&] { benchmark::DoNotOptimize(sum_weights(machine)); }, 5, 0.1);
  machine.read_bandwidth = static_cast<double>(machine.weights.bytes()) / pass;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    const PeakLoop loop = peak_loop(level);
    if (loop.run == nullptr || !has_level(machine.features, level)) continue;
    constexpr int64_t kIterations = 200000;
    const double seconds = best_seconds([&] { loop.run(kIterations); }, 5, 0.02);
    machine.integer_peak[i] = loop.macs * kIterations / seconds;
  }
  return machine;
}

}  // namespace midge::bench
