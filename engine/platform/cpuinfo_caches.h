// What the cpuinfo library knows of this machine's cores.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace midge {

struct CpuinfoCore {
  int number = 0;  ///< as in Linux
  int cluster = 0;
  int64_t l2_bytes = 0;  ///< 0: not known
  int64_t l3_bytes = 0;
};

/// Every core that the library knows; empty if it cannot tell. proc_cpuinfo: the text of
/// /proc/cpuinfo, for whether the library would understand it: it complains on the standard error
/// stream otherwise, under an emulator for instance, where the file is the host's.
std::vector<CpuinfoCore> cpuinfo_cores(std::string_view proc_cpuinfo);

}  // namespace midge
