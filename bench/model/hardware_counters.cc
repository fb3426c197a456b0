#include "bench/model/hardware_counters.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <dirent.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/core/status.h"

namespace midge::bench {
namespace {

struct Kind {
  const char* name;
  uint64_t config;
};
constexpr Kind kKinds[] = {{"cycles", PERF_COUNT_HW_CPU_CYCLES},
                           {"instructions", PERF_COUNT_HW_INSTRUCTIONS},
                           {"cache_misses", PERF_COUNT_HW_CACHE_MISSES},
                           {"branch_misses", PERF_COUNT_HW_BRANCH_MISSES}};

int open_counter(uint64_t config) {
  perf_event_attr attributes = {};
  attributes.size = sizeof(attributes);
  attributes.type = PERF_TYPE_HARDWARE;
  attributes.config = config;
  attributes.inherit = 1;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  // 0, -1: this thread on any core.
  return static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

// Cores of several types have counters of several kinds, each with a list of its cores. An event is
// counted on those of one kind, and time on the others cannot be told from time without a counter.
bool has_several_kinds() {
  constexpr const char* kDevices = "/sys/bus/event_source/devices";
  DIR* devices = ::opendir(kDevices);
  if (devices == nullptr) return false;
  int kinds = 0;
  while (const dirent* device = ::readdir(devices)) {
    const std::string cores = std::string(kDevices) + '/' + device->d_name + "/cpus";
    if (device->d_name[0] != '.' && ::access(cores.c_str(), R_OK) == 0) ++kinds;
  }
  ::closedir(devices);
  return kinds > 1;
}

}  // namespace

HardwareCounters::HardwareCounters() {
  if (has_several_kinds()) {
    refusal_ = "cores of several types: the kernel counts on those of one type alone";
    return;
  }
  for (const Kind& kind : kKinds) {
    const int file = open_counter(kind.config);
    if (file >= 0) {
      counters_.push_back({kind.name, file, {}});
    } else if (refusal_.empty()) {
      refusal_ = format_string("the kernel counts no %s for this process: %s", kind.name,
                               std::strerror(errno));
      if (errno == EACCES || errno == EPERM) refusal_ += " (see kernel.perf_event_paranoid)";
    }
  }
  if (!counters_.empty()) refusal_.clear();
}

HardwareCounters::~HardwareCounters() {
  for (const Counter& counter : counters_) ::close(counter.file);
}

std::vector<HardwareCounters::Reading> HardwareCounters::read() {
  std::vector<Reading> readings;
  for (Counter& counter : counters_) {
    uint64_t values[3] = {};  // count, time enabled, time running
    if (::read(counter.file, values, sizeof(values)) != sizeof(values)) continue;
    // Scaled by the times since the last reading: what ran before may have been counted otherwise.
    const auto since = [&](size_t i) {
      return static_cast<double>(values[i] - std::exchange(counter.last[i], values[i]));
    };
    const double count = since(0);
    const double enabled = since(1);
    const double running = since(2);
    if (running > 0) readings.push_back({counter.name, count * enabled / running});
  }
  return readings;
}

}  // namespace midge::bench
