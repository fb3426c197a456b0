// The benchmarks refuse to time kernels whose results are wrong.
#include <benchmark/benchmark.h>
#include <gtest/gtest.h>

#include "bench/cases.h"
#include "kernels/declarations.h"

namespace midge::bench {
namespace {

// The scalar specification with a fault.
void gemv_broken(const GemvArgs* args) {
  gemv_f32_q8b32_q4b32_8x32_generic(args);
  args->out[0] += 1.0f;
}

void unpack_broken(const UnpackArgs* args) {
  unpack_q8s256_q4b32_generic(args);
  args->panel[kPanelBytes - 1] ^= 1;
}

void quantize_broken(const QuantizeArgs* args) {
  quantize_q8b32_f32_generic(args);
  args->out[0].correction += 8;
}

void lookup_broken(const LookupArgs* args) {
  lookup_f32_q4b32_generic(args);
  if (args->row == 31) args->out[args->k - 1] += 1.0f;
}

void add_broken(const AddArgs* args) {
  add_f32_f32_generic(args);
  args->out[args->n - 1] += 1.0f;
}

template <typename Function>
KernelInfo broken(const char* name, Op op, Encoding encoding, Function function) {
  KernelInfo kernel = *select_kernel(op, encoding);
  kernel.name = name;
  kernel.function = reinterpret_cast<void (*)()>(function);
  return kernel;
}

TEST(Bench, RefusesWrongKernels) {
  const Result<Machine> machine = Machine::measure();
  ASSERT_TRUE(machine.ok());
  const KernelInfo kernels[] = {
      broken("gemv_broken", Op::kGemv, Encoding::kQ4B32, gemv_broken),
      broken("unpack_broken", Op::kUnpack, Encoding::kQ4B32, unpack_broken),
      broken("quantize_broken", Op::kQuantize, Encoding::kF32, quantize_broken),
      broken("lookup_broken", Op::kLookup, Encoding::kQ4B32, lookup_broken),
      broken("add_broken", Op::kAdd, Encoding::kF32, add_broken),
  };
  for (const KernelInfo& kernel : kernels) add_kernel_cases(machine.value(), kernel);
  // One of each kernel; Google Benchmark 1.7 runs once per process.
  EXPECT_EQ(benchmark::RunSpecifiedBenchmarks(
                "^(gemv/.*/phi4_mini.o/m:1/warm|prefill/.*/phi4_mini.o/m:64/warm|"
                "quantize/.*/mimo.hidden|lookup/.*/mimo.hidden/warm|add/.*/mimo.hidden)$"),
            5u);
  EXPECT_EQ(failed_checks(), 5);
}

}  // namespace
}  // namespace midge::bench
