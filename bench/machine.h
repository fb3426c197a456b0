// What the results are measured against: caches, read bandwidth and integer peak of this machine.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/core/aligned_buffer.h"
#include "kernels/kernels.h"

namespace midge::bench {

struct Machine {
  CpuFeatures features;
  int64_t l2_bytes = 0;
  int64_t llc_bytes = 0;  ///< of the last level of cache
  /// 3 times the last-level cache, in random bytes that are valid weights of every encoding: bit 14
  /// of each 16-bit word is 0, so that no f16, bf16 or f32 is an infinity or NaN.
  AlignedBuffer weights;
  double read_bandwidth = 0;                 ///< bytes per second, one thread
  double integer_peak[kIsaLevelCount] = {};  ///< multiply-adds per second; 0: not known

  /// Reads cache sizes, fills the weights, measures; about half a second. Errors: out_of_memory.
  static Result<Machine> measure();
};

/// Sums all words of the weights: the plain loop that read_bandwidth is measured by.
uint64_t sum_weights(const Machine& machine);

/// Processor time of this thread in seconds.
double thread_seconds();

/// Least time of a call in seconds, of at least `calls` and as many as fit in `budget` seconds.
double best_seconds(const std::function<void()>& call, int calls, double budget);

}  // namespace midge::bench
