// From the events of workers to a table of operations, and to a trace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops/profile.h"
#include "engine/session/executor.h"

namespace midge::bench {

/// Of the registry; empty: the function is no kernel.
std::string kernel_name(void (*function)());

/// An operation on all layers: of one kind, on the same matrix of each.
struct OpLine {
  std::string name;     ///< "linear qkv", "attention"
  std::string kernels;  ///< that it calls mostly; empty: none of the registry
  int64_t calls = 0;
  double seconds = 0;         ///< of worker 0, its waits included
  double bytes = 0;           ///< of weights, keys and values that the calls read
  double macs = 0;            ///< multiply-adds of matrices
  std::vector<double> busy;   ///< seconds of each worker, without its waits
  std::vector<double> waits;  ///< of each worker, at the barriers of the operation
  double imbalance()
      const;  ///< of the busiest worker, by the mean of those that take part: 1 is even
};

struct OpSummary {
  std::vector<OpLine> lines;  ///< the longest first
  double wall = 0;            ///< seconds of all steps, as their caller saw them
  double outside = 0;         ///< seconds of worker 0 at barriers outside of operations
  int64_t dropped = 0;        ///< events that the logs had no room for
  /// Of the wall time, that is in operations and barriers: the rest is what lies between them.
  double accounted() const;
};

/// wall: seconds of the steps that were logged. kv_token_bytes: of one token's keys and values in a
/// layer. first_position: tokens before the first row of each step. step_rows: rows of a step,
/// which may take several passes. window: tokens that a row sees, 0 for all.
struct SummaryInput {
  const Profile* profile = nullptr;
  const Executor* executor = nullptr;
  double wall = 0;
  KvType kv_type = KvType::kF16;
  double kv_token_bytes = 0;
  int64_t first_position = 0;
  int64_t step_rows = 1;
  int64_t window = 0;
  bool is_prompt = false;
};
OpSummary summarize_ops(const SummaryInput& input);

/// The events in the Trace Event Format of chrome://tracing and Perfetto: a track for each worker,
/// barriers inside of operations.
std::string trace_json(const SummaryInput& input);

}  // namespace midge::bench
