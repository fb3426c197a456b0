// What the machine is, and how it does: clocks, temperatures, throttling, memory of this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/platform/system_files.h"
#include "engine/platform/topology.h"

namespace midge::bench {

/// What does not change while a bench runs.
struct MachineInfo {
  std::string cores;     ///< "4 x Cortex-A76, 4 x Cortex-A55"
  std::string system;    ///< "Linux 6.1.0 aarch64"
  std::string governor;  ///< of the first core; empty: not known
  int64_t memory_bytes = 0;
};
MachineInfo machine_info(const Topology& topology, const SystemFiles& files);

/// A reading of what does.
struct MachineState {
  double clock = 0;  ///< cycles per second, as measured
  /// What the system says of the fastest core's clock, in cycles per second; 0: nothing.
  double reported_clock = 0;
  std::optional<double> temperature;   ///< of the hottest sensor, in degrees Celsius
  std::optional<int64_t> throttlings;  ///< times that cores were slowed down since the start
};
MachineState machine_state(const SystemFiles& files);

/// Memory of this process, in bytes; 0: not known.
struct ProcessMemory {
  int64_t peak = 0;       ///< most that was resident since forget_peak_memory()
  int64_t anonymous = 0;  ///< resident now, of its own
  int64_t file = 0;       ///< resident now, of files
};
ProcessMemory process_memory(const SystemFiles& files);

/// Lets the peak begin anew with what is resident now, where the system allows it.
void forget_peak_memory();

/// Drops what the system keeps of a file, or of all files of a folder, from memory, so that the
/// next reader waits for the disk. False: it did not let go of all of it.
bool drop_from_memory(const std::string& path);

}  // namespace midge::bench
