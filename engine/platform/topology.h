// The cores of a machine: designs, clusters, caches, and which of them this process may use.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/status.h"
#include "engine/platform/core_types.h"
#include "engine/platform/cpuinfo_caches.h"
#include "engine/platform/system_files.h"
#include "kernels/isa.h"

namespace midge {

/// A core that the process may run on. Zero: not known.
struct CpuCore {
  int number = 0;         ///< as in Linux
  int type = 0;           ///< index into Topology::types: cores of one design
  int cluster = 0;        ///< index into Topology::clusters
  int smt_rank = 0;       ///< place among the threads of one physical core
  int64_t frequency = 0;  ///< greatest, in kHz
  int capacity = 0;       ///< as Linux compares the cores of a system: 1024 is the fastest
  int64_t l2_bytes = 0;
  int64_t l3_bytes = 0;
};

/// Cores of one design and speed.
struct CpuCluster {
  std::string design;  ///< "Cortex-A76"; the name of the type where the design is not known
  std::vector<int> cores;
  int64_t frequency = 0;
};

/// Plain data: from this system, or from a recorded one.
struct Topology {
  std::vector<CpuCore> cores;        ///< usable ones, ascending; at least one
  std::vector<CoreType> types;       ///< in order of their first core
  std::vector<CpuCluster> clusters;  ///< fastest first
  int present = 0;                   ///< cores of the machine, usable or not
  double quota = 0;                  ///< cores' worth of time that a control group allows; 0: all
  CpuFeatures features;              ///< that all cores have
  std::string source;                ///< "cpuinfo and sysfs", "sysfs", or the recording
  std::vector<std::string> notes;    ///< what was missing or not understood, a sentence each

  const CpuCore* find(int number) const;
};

/// What `files` say; `allowed`: the cores that the process may run on, ascending; empty: as the
/// files say; `known`: what the cpuinfo library says of them, for clusters and caches. Never fails:
/// what is missing or garbage is noted, and the cores count as alike. Pure.
Topology read_topology(const SystemFiles& files, std::span<const int> allowed, CpuFeatures features,
                       std::span<const CpuinfoCore> known = {});

/// This machine. Asks the system each time.
Topology detect_topology();

/// A recorded machine, see SystemFiles::open; its features are those of its auxiliary vector.
/// Errors: those of SystemFiles::open.
Result<Topology> replay_topology(const std::string& path);

/// The cores that the calling thread may run on, ascending; core 0 if the system does not say.
std::vector<int> allowed_core_numbers();

/// A design of core, by the main id register of arm64.
struct CoreDesign {
  const char* name;
  /// Int8 dot products of 16 bytes (or smull/smmla as its level has) that it begins per cycle, as
  /// the designs' optimisation guides tell. A first guess, until kernels are measured.
  double products_per_cycle;
  bool has_i8mm = false;  ///< matrix products of int8, which do twice as much as a dot product
};

/// Null if the design is not known. midr: implementer in bits 24..31, part in bits 4..15.
const CoreDesign* find_core_design(uint32_t midr);
/// By its name.
const CoreDesign* find_core_design(std::string_view name);

}  // namespace midge
