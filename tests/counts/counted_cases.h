// One call of a kernel whose instructions are worth counting.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace midge::test {

struct CountedCase {
  std::string name;  ///< "m=4"
  /// What the cost of a call is divided by: weights (for any number of rows), multiply-adds of
  /// gemm_panel, query x key x head_dim of attention, else numbers.
  int64_t elements;
  int64_t bytes;  ///< weights, or keys and values; of other operations all operands
  /// Makes the operands and returns the call, which is region 1 of tools/qemu-insn.
  std::function<std::function<void()>()> prepare;
};

/// The cases of a kernel, by its operation. `kernel` is kept.
std::vector<CountedCase> counted_cases(const KernelInfo& kernel);

}  // namespace midge::test
