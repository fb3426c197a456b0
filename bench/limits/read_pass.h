// How fast this machine reads the weights of a model: the limit of decoding.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/session/executor.h"

namespace midge::bench {

/// A pass over all bytes that a decoded token reads of the weights.
class ReadPass {
 public:
  /// The executor outlives it.
  explicit ReadPass(const Executor& executor);

  /// 0: XNNPACK multiplies with copies of its own, of which nobody else knows where they lie. Then
  /// nothing is read or measured.
  int64_t bytes() const { return bytes_; }

  /// Bytes per second that the workers of passes of a class read, by the faster of two passes: a
  /// plain loop, and one that asks for lines ahead. Which of them wins depends on the machine. Both
  /// are run. 0: no bytes.
  double measure(PassClass c);

  /// Of everything read so far; keeps the compiler from dropping the reads.
  uint64_t checksum() const { return checksum_; }

 private:
  struct Piece {
    const uint8_t* at;
    int64_t bytes;
  };

  template <bool kAhead>
  double seconds(PassClass c);

  const Executor& executor_;
  std::vector<Piece> pieces_;
  int64_t bytes_ = 0;
  uint64_t checksum_ = 0;
};

/// Multiply-adds of int8 per second that the workers of passes of a class do on registers alone,
/// all of them together, by the highest level of `features` that has a loop for it and kernels for
/// such passes: AMX is for prompts alone. Takes 20 ms. 0: none has.
double measure_integer_peak(const WorkerTeam& team, CpuFeatures features, PassClass c);

/// Cycles per second of the core that this is called on, by a chain of additions that take a cycle
/// each. About a millisecond.
double measure_clock();

}  // namespace midge::bench
