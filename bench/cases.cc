#include "bench/cases.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

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
int g_failed_checks = 0;

const Prepared& current(const std::string& name, const std::function<Prepared()>& prepare) {
  if (g_current.name != name) {
    g_current = {};  // frees the operands before there are others
    g_current = {name, prepare()};
  }
  return g_current.prepared;
}

void set_counters(const Machine& machine, const Prepared& p, double call_seconds,
                  benchmark::State& state) {
  const auto set = [&](const char* name, double value) {
    if (value > 0) state.counters[name] = value;
  };
  set("GB/s", p.bytes / call_seconds * 1e-9);
  set("GMAC/s", p.macs / call_seconds * 1e-9);
  set("of_bandwidth", p.bytes / call_seconds / machine.read_bandwidth);
  set("of_peak", p.peak > 0 ? p.macs / call_seconds / p.peak : 0);
  set("vs_generic", p.generic_seconds / call_seconds);
  set("whole_us", call_seconds / p.share * 1e6);
}

}  // namespace

void add_case(const Machine& machine, const std::string& name, std::function<Prepared()> prepare) {
  benchmark::RegisterBenchmark(
      name.c_str(), [&machine, name, prepare = std::move(prepare)](benchmark::State& state) {
        const Prepared& p = current(name, prepare);
        if (!p.error.empty()) {
          ++g_failed_checks;
          state.SkipWithError(p.error.c_str());
          return;
        }
        int64_t call = 0;
        const double start = thread_seconds();
        for (auto _ : state) {
          p.call(call++);
          benchmark::ClobberMemory();
        }
        const double seconds = thread_seconds() - start;
        set_counters(machine, p, seconds / static_cast<double>(state.iterations()), state);
      });
}

int failed_checks() { return g_failed_checks; }

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

const char* weights_name(Weights weights) { return weights == Weights::kCold ? "cold" : "warm"; }

Walk make_walk(const Machine& machine, Weights weights, int64_t parts, int64_t part_bytes,
               int64_t groups_max) {
  // Four pieces or more: what does not divide the buffer leaves 4/5 of 3 times the cache.
  const int64_t bytes_max =
      weights == Weights::kCold ? machine.weights.bytes() / 4 : machine.l2_bytes / 2;
  Walk walk = {};
  walk.parts = std::max<int64_t>(1, std::min({parts, groups_max, bytes_max / part_bytes}));
  walk.piece_bytes = walk.parts * part_bytes;
  walk.pieces = weights == Weights::kCold ? machine.weights.bytes() / walk.piece_bytes : 1;
  return walk;
}

void add_kernel_cases(const Machine& machine, const KernelInfo& kernel) {
  if (!machine.features.has(kernel.features)) return;
  switch (kernel.op) {
    case Op::kGemm:
    case Op::kGemv:
    case Op::kLookup:
    case Op::kDequantize:
    case Op::kQuantize: return add_row_cases(machine, kernel);
    case Op::kQuantizePanel:
    case Op::kUnpack:
    case Op::kGemmPanel:
    case Op::kTakeOutliers:
    case Op::kAddOutliers: return add_panel_cases(machine, kernel);
    case Op::kAttn:
    case Op::kAttnQ8:
    case Op::kAttnK8V4:
    case Op::kConvert:
    case Op::kRmsnorm:
    case Op::kRope:
    case Op::kSiluMul:
    case Op::kExpSum:
    case Op::kAdd: return add_float_cases(machine, kernel);
  }
}

}  // namespace midge::bench
