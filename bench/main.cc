// midge_bench_kernels: every kernel of the registry at the shapes of the three models.
// bench/README.md says what is measured and how to choose. Exit code 1: nothing matched, or a
// kernel was wrong.
#include <cstdio>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/cases.h"
#include "bench/limits/peak_loop.h"

namespace midge::bench {
namespace {

std::string giga(double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", number * 1e-9);
  return text;
}

void add_context(const Machine& machine) {
  benchmark::AddCustomContext("isa_level", isa_level_name(top_level(machine.features)));
  benchmark::AddCustomContext("l2_bytes", std::to_string(machine.l2_bytes));
  benchmark::AddCustomContext("llc_bytes", std::to_string(machine.llc_bytes));
  benchmark::AddCustomContext("cold_weights_bytes", std::to_string(machine.weights.bytes()));
  benchmark::AddCustomContext("read_bandwidth_gb_per_s", giga(machine.read_bandwidth));
  for (int i = 0; i < kIsaLevelCount; ++i) {
    if (machine.integer_peak[i] <= 0) continue;
    benchmark::AddCustomContext(
        std::string("integer_peak_gmac_per_s_") + isa_level_name(static_cast<IsaLevel>(i)),
        giga(machine.integer_peak[i]));
  }
}

// The limits once more, as benchmarks: they show how steady the machine is.
void add_limit_cases(const Machine& machine) {
  add_case(machine, "limit/read_bandwidth", [&machine] {
    Prepared p;
    p.call = [&machine](int64_t) { benchmark::DoNotOptimize(sum_weights(machine)); };
    p.bytes = static_cast<double>(machine.weights.bytes());
    return p;
  });
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const double peak = machine.integer_peak[i];
    if (peak <= 0) continue;
    const PeakLoop loop = peak_loop(static_cast<IsaLevel>(i));
    add_case(machine, std::string("limit/integer_peak/") + isa_level_name(static_cast<IsaLevel>(i)),
             [loop, peak] {
               constexpr int64_t kIterations = 10000;
               Prepared p;
               p.call = [loop](int64_t) { loop.run(kIterations); };
               p.macs = loop.macs * kIterations;
               p.peak = peak;
               return p;
             });
  }
}

int run(int argc, char** argv) {
  // First, so that the same option of the user wins.
  std::string min_time = "--benchmark_min_time=0.05";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, min_time.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;

  Result<Machine> measured = Machine::measure();
  if (!measured.ok()) {
    std::fprintf(stderr, "midge_bench_kernels: %s\n", measured.status().message().c_str());
    return 1;
  }
  const Machine& machine = measured.value();
  add_context(machine);
  add_limit_cases(machine);
  for (const KernelInfo& kernel : all_kernels()) add_kernel_cases(machine, kernel);
  add_xnnpack_cases(machine);
  add_team_cases(machine);
  const size_t matched = benchmark::RunSpecifiedBenchmarks();
  return matched > 0 && failed_checks() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace midge::bench

int main(int argc, char** argv) { return midge::bench::run(argc, argv); }
