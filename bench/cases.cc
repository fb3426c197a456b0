#include "bench/cases.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>

#include <benchmark/benchmark.h>

namespace midge::bench {
namespace {

// The case that ran last. Google Benchmark calls a benchmark anew for every guess of the number of
// iterations, with the operands of the call before.
struct Current {
  std::string name;
  Prepared prepared;
};
Current g_current;
bool g_any_check_failed = false;

const Prepared& current(const std::string& name, const std::function<Prepared()>& prepare) {
  if (g_current.name != name) {
    g_current = {};  // frees the operands before there are others
    g_current = {name, prepare()};
  }
  return g_current.prepared;
}

void set_counters(const Machine& machine, const Prepared& p, benchmark::State& state) {
  const auto per_second = [&](const char* name, double of_a_call) {
    if (of_a_call <= 0) return;
    state.counters[name] =
        benchmark::Counter(of_a_call, benchmark::Counter::kIsIterationInvariantRate);
  };
  per_second("GB/s", p.bytes * 1e-9);
  per_second("GMAC/s", p.macs * 1e-9);
  // A rate over a rate: calls per second times what a call would take at the limit.
  per_second("of_bandwidth", p.bytes / machine.read_bandwidth);
  if (p.peak > 0) per_second("of_peak", p.macs / p.peak);
  per_second("vs_generic", p.generic_seconds);
  state.counters["whole_us"] = benchmark::Counter(
      p.share * 1e-6,
      static_cast<benchmark::Counter::Flags>(benchmark::Counter::kIsIterationInvariantRate |
                                             benchmark::Counter::kInvert));
}

}  // namespace

void add_case(const Machine& machine, const std::string& name, std::function<Prepared()> prepare) {
  benchmark::RegisterBenchmark(
      name.c_str(), [&machine, name, prepare = std::move(prepare)](benchmark::State& state) {
        const Prepared& p = current(name, prepare);
        if (!p.error.empty()) {
          g_any_check_failed = true;
          state.SkipWithError(p.error.c_str());
          return;
        }
        int64_t call = 0;
        for (auto _ : state) {
          p.call(call++);
          benchmark::ClobberMemory();
        }
        set_counters(machine, p, state);
      });
}

bool any_check_failed() { return g_any_check_failed; }

const KernelInfo& generic_of(const KernelInfo& kernel) {
  return *select_kernel(kernel.op, kernel.encoding);
}

std::string difference(const KernelInfo& kernel, const std::vector<float>& found,
                       const std::vector<float>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    if (std::memcmp(&found[i], &expected[i], sizeof(float)) == 0) continue;
    char text[256];
    std::snprintf(text, sizeof(text), "%s: element %zu is %.9g, expected %.9g", kernel.name, i,
                  static_cast<double>(found[i]), static_cast<double>(expected[i]));
    return text;
  }
  return {};
}

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f;
  }
  return values;
}

const char* weights_name(Weights weights) { return weights == Weights::kCold ? "cold" : "warm"; }

Walk make_walk(const Machine& machine, Weights weights, int64_t groups, int64_t group_bytes,
               int64_t groups_max) {
  // Four pieces or more: what does not divide the buffer leaves 4/5 of 3 times the cache.
  const int64_t bytes_max =
      weights == Weights::kCold ? machine.weights.bytes() / 4 : machine.l2_bytes / 2;
  Walk walk = {};
  walk.groups = std::max<int64_t>(1, std::min({groups, groups_max, bytes_max / group_bytes}));
  walk.piece_bytes = walk.groups * group_bytes;
  walk.pieces = weights == Weights::kCold ? machine.weights.bytes() / walk.piece_bytes : 1;
  return walk;
}

void add_kernel_cases(const Machine& machine, const KernelInfo& kernel) {
  if (!machine.levels.has(kernel.level)) return;
  switch (kernel.op) {
    case Op::kGemm:
    case Op::kGemv:
    case Op::kLookup:
    case Op::kDequantize:
    case Op::kQuantize: return add_row_cases(machine, kernel);
    case Op::kQuantizePanel:
    case Op::kUnpack:
    case Op::kGemmPanel: return add_panel_cases(machine, kernel);
    case Op::kAttn:
    case Op::kConvert:
    case Op::kRmsnorm:
    case Op::kRope:
    case Op::kSiluMul:
    case Op::kAdd: return add_float_cases(machine, kernel);
  }
}

}  // namespace midge::bench
