#include "bench/model/machine_state.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/limits/read_pass.h"

namespace midge::bench {
namespace {

namespace fs = std::filesystem;

// Folders of Linux are numbered; some numbers may be missing.
constexpr int kCoresMax = 1024;
constexpr int kZonesMax = 128;
constexpr int kGapMax = 64;

std::optional<double> number_in(const SystemFiles& files, const std::string& path) {
  const std::optional<std::string> text = files.read(path);
  if (!text.has_value()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  return end == text->c_str() ? std::nullopt : std::optional(value);
}

// Of a line "name: 123 kB" of a file of /proc, in bytes; 0: there is none.
int64_t kilobytes_in(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    int64_t value = 0;
    if (words >> key >> value && key == name + ":") return value * 1024;
  }
  return 0;
}

bool drop_file(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  // What was written and is not on the disk yet stays otherwise.
  bool dropped = ::fdatasync(file) == 0 && ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0;
  std::error_code error;
  const auto bytes = static_cast<size_t>(fs::file_size(path, error));
  if (dropped && !error && bytes > 0) {
    void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) {
      const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
      std::vector<unsigned char> resident((bytes + page - 1) / page);
      if (::mincore(map, bytes, resident.data()) == 0) {
        const auto left = std::count_if(resident.begin(), resident.end(),
                                        [](unsigned char flags) { return (flags & 1) != 0; });
        dropped = static_cast<size_t>(left) * 50 <= resident.size();
      }
      ::munmap(map, bytes);
    }
  }
  ::close(file);
  return dropped;
}

}  // namespace

MachineInfo machine_info(const Topology& topology, const SystemFiles& files) {
  MachineInfo info;
  for (const CpuCluster& cluster : topology.clusters) {
    if (!info.cores.empty()) info.cores += ", ";
    info.cores += std::to_string(cluster.cores.size()) + " x " +
                  (cluster.design.empty() ? std::string("core") : cluster.design);
  }
  utsname names = {};
  if (::uname(&names) == 0) {
    info.system = std::string(names.sysname) + " " + names.release + " " + names.machine;
  }
  info.governor =
      files.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").value_or(std::string());
  info.memory_bytes = kilobytes_in(files.read("proc/meminfo").value_or(""), "MemTotal");
  return info;
}

MachineState machine_state(const SystemFiles& files) {
  MachineState state;
  state.clock = measure_clock();
  for (int i = 0, missing = 0; i < kCoresMax && missing < kGapMax; ++i) {
    const std::string cpu = "sys/devices/system/cpu/cpu" + std::to_string(i);
    const auto kilohertz = number_in(files, cpu + "/cpufreq/scaling_cur_freq");
    if (kilohertz.has_value()) {
      state.reported_clock = std::max(state.reported_clock, *kilohertz * 1e3);
    }
    const auto count = number_in(files, cpu + "/thermal_throttle/core_throttle_count");
    if (count.has_value()) {
      state.throttlings = state.throttlings.value_or(0) + static_cast<int64_t>(*count);
    }
    missing = kilohertz.has_value() || count.has_value() ? 0 : missing + 1;
  }
  for (int i = 0, missing = 0; i < kZonesMax && missing < kGapMax; ++i) {
    const auto millidegrees =
        number_in(files, "sys/class/thermal/thermal_zone" + std::to_string(i) + "/temp");
    missing = millidegrees.has_value() ? 0 : missing + 1;
    // Sensors that are off say 0 or less, or what no chip reaches.
    if (!millidegrees.has_value() || *millidegrees <= 0 || *millidegrees > 150e3) continue;
    state.temperature = std::max(state.temperature.value_or(0), *millidegrees * 1e-3);
  }
  return state;
}

ProcessMemory process_memory(const SystemFiles& files) {
  const std::string text = files.read("proc/self/status").value_or("");
  return {kilobytes_in(text, "VmHWM"), kilobytes_in(text, "RssAnon"),
          kilobytes_in(text, "RssFile") + kilobytes_in(text, "RssShmem")};
}

void forget_peak_memory() {
  const int file = ::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  // 5: the peak of the resident memory (proc(5)). Refused, the peak is that of the process.
  (void)!::write(file, "5", 1);
  ::close(file);
}

bool drop_from_memory(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return drop_file(path);
  bool all = true;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) all = drop_file(it->path()) && all;
  }
  return all && !error;
}

}  // namespace midge::bench
