#include "engine/platform/cpuinfo_caches.h"

#include <cpuinfo.h>

namespace midge {

std::vector<CpuinfoCore> cpuinfo_cores(std::string_view proc_cpuinfo) {
#if defined(__aarch64__)
  constexpr std::string_view kNeeded = "CPU implementer";
#else
  constexpr std::string_view kNeeded = "vendor_id";
#endif
  if (proc_cpuinfo.find(kNeeded) == std::string_view::npos || !cpuinfo_initialize()) return {};
  std::vector<CpuinfoCore> cores;
  for (uint32_t i = 0; i < cpuinfo_get_processors_count(); ++i) {
    const cpuinfo_processor* processor = cpuinfo_get_processor(i);
    if (processor == nullptr) continue;
    CpuinfoCore core;
    core.number = processor->linux_id;
    if (processor->cluster != nullptr)
      core.cluster = static_cast<int>(processor->cluster->cluster_id);
    if (processor->cache.l2 != nullptr) core.l2_bytes = processor->cache.l2->size;
    if (processor->cache.l3 != nullptr) core.l3_bytes = processor->cache.l3->size;
    cores.push_back(core);
  }
  return cores;
}

}  // namespace midge
