// Counters of the processor, through Linux' perf_event_open(2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace midge::bench {

/// Counts what the calling thread does, and all threads that it starts from then on. Make it before
/// the threads that are to be counted.
class HardwareCounters {
 public:
  struct Reading {
    const char* name;
    double count = 0;  ///< scaled up, where the kernel took turns between counters
  };

  HardwareCounters();
  ~HardwareCounters();
  HardwareCounters(const HardwareCounters&) = delete;
  HardwareCounters& operator=(const HardwareCounters&) = delete;

  /// Why there are none; empty: there are.
  const std::string& refusal() const { return refusal_; }
  /// What was counted since the last call.
  std::vector<Reading> read();

 private:
  struct Counter {
    const char* name;
    int file;
    uint64_t last[3] = {};  // count, nanoseconds enabled, nanoseconds running
  };

  std::vector<Counter> counters_;
  std::string refusal_;
};

}  // namespace midge::bench
