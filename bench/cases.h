// Benchmark cases: what is called, what it is checked against, and what is counted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/machine.h"
#include "bench/shapes.h"
#include "engine/calibration/operands.h"
#include "kernels/kernels.h"

namespace midge::bench {

/// A case that is ready to be timed.
struct Prepared {
  std::string error;                  ///< what the check found; empty: the kernel is right
  std::function<void(int64_t)> call;  ///< one call; the number, counting up, picks the weights
  double bytes = 0;                   ///< weights (of operations without any: operands) of a call
  double macs = 0;                    ///< multiply-adds of a call
  double share = 1;                   ///< of the named shape that a call computes
  double peak = 0;                    ///< integer multiply-adds per second to compare with; 0: none
  double generic_seconds = 0;         ///< the scalar specification for a call; 0: not compared
};

/// Registers a benchmark. prepare() is called when it runs; what it made is kept until the next
/// benchmark starts.
void add_case(const Machine& machine, const std::string& name, std::function<Prepared()> prepare);

/// Benchmarks that were not timed, because what they call gave a wrong result.
int failed_checks();

/// The scalar specification of a kernel.
const KernelInfo& generic_of(const KernelInfo& kernel);

/// Message if `found` and `expected` differ in a bit; else empty.
std::string difference(const KernelInfo& kernel, const std::vector<float>& found,
                       const std::vector<float>& expected);

/// Whether the weights of a call have been used just before. Cold ones come from a walk through
/// Machine::weights, warm ones fit in half of L2.
enum class Weights { kCold, kWarm };
inline constexpr Weights kWeights[] = {Weights::kCold, Weights::kWarm};
const char* weights_name(Weights weights);

/// The pieces of Machine::weights that calls take in turn.
struct Walk {
  int64_t parts;  ///< of rows in a piece
  int64_t piece_bytes;
  int64_t pieces;

  const uint8_t* piece(const Machine& machine, int64_t call) const {
    return machine.weights.data() + call % pieces * piece_bytes;
  }
};

/// At most `parts` parts of rows (tiles, or single rows) of part_bytes, as many as the kind of
/// weights and the number of parts that a call should have time for allow; at least one.
Walk make_walk(const Machine& machine, Weights weights, int64_t parts, int64_t part_bytes,
               int64_t groups_max);

// Cases of one kernel, by operation: `gemv/<kernel>/<model>.<matrix>/m:1/cold` and so on.
void add_row_cases(const Machine& machine, const KernelInfo& kernel);    // gemv, gemm, lookup, ...
void add_panel_cases(const Machine& machine, const KernelInfo& kernel);  // prefill
void add_float_cases(const Machine& machine, const KernelInfo& kernel);  // element-wise, attention
/// Those of the kernel's operation; none if this machine cannot run it.
void add_kernel_cases(const Machine& machine, const KernelInfo& kernel);
/// XNNPACK's fully-connected operators at the same shapes.
void add_xnnpack_cases(const Machine& machine);

/// Bringing the workers together, with nothing to do.
void add_team_cases(const Machine& machine);

}  // namespace midge::bench
