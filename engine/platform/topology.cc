#include "engine/platform/topology.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <sched.h>

#include "engine/core/visible.h"
#include "engine/platform/core_choice.h"
#include "engine/platform/cpu_features.h"
#include "engine/platform/cpuinfo_caches.h"

namespace midge {
namespace {

constexpr char kCpus[] = "sys/devices/system/cpu/";
constexpr int kCacheIndexMax = 8;

/// Reads a topology, with notes of what is not as expected.
class TopologyReader {
 public:
  TopologyReader(const SystemFiles& files, CpuFeatures features, std::span<const CpuinfoCore> known)
      : files_(files), known_(known) {
    topology_.features = features;
    topology_.source = known.empty() ? "sysfs" : "cpuinfo and sysfs";
  }

  Topology read(std::span<const int> allowed) {
    const std::vector<int> cores = usable_cores(allowed);
    for (const int number : cores) topology_.cores.push_back(read_core(number, cores));
    read_types();
    read_quota();
    make_clusters();
    return std::move(topology_);
  }

 private:
  void note(std::string sentence) { topology_.notes.push_back(std::move(sentence)); }

  // A list of cores in a file; nothing, with a note, if it is no such list.
  std::optional<std::vector<int>> read_list(const std::string& path) {
    const std::optional<std::string> text = files_.read(path);
    if (!text.has_value()) return std::nullopt;
    std::optional<std::vector<int>> list = parse_core_list(*text);
    if (!list.has_value()) note_garbage(path, "a list of cores", *text);
    return list;
  }

  void note_garbage(const std::string& path, const char* expected, const std::string& found) {
    note(format_string("%s: expected %s, found '%s'", path.c_str(), expected,
                       printable(std::string_view(found).substr(0, 40)).c_str()));
  }

  // A number in a file, with K, M or G behind it where it is a size; 0 if there is none.
  int64_t read_number(const std::string& path) {
    const std::optional<std::string> text = files_.read(path);
    if (!text.has_value()) return 0;
    int64_t number = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    constexpr std::string_view kUnits = "KMG";
    const std::string_view unit(rest, static_cast<size_t>(end - rest));
    const size_t power = unit.size() == 1 ? kUnits.find(unit.front()) : std::string_view::npos;
    constexpr int64_t kNumberMax = int64_t{1} << 40;
    const bool has_end = unit.empty() || power != std::string_view::npos;
    if (error != std::errc() || !has_end || number < 0 || number > kNumberMax) {
      note_garbage(path, "a number", *text);
      return 0;
    }
    return unit.empty() ? number : std::min(kNumberMax, number << (10 * (power + 1)));
  }

  std::vector<int> usable_cores(std::span<const int> allowed) {
    std::vector<int> cores(allowed.begin(), allowed.end());
    const auto present = read_list(std::string(kCpus) + "possible");
    const auto online = read_list(std::string(kCpus) + "online");
    if (cores.empty()) cores = read_list("affinity").value_or(std::vector<int>());
    if (cores.empty() && present.has_value()) cores = *present;
    if (cores.empty() && online.has_value()) cores = *online;
    const std::vector<int> before = cores;
    const auto keep = [&](const std::optional<std::vector<int>>& list) {
      if (!list.has_value()) return;
      std::erase_if(
          cores, [&](int core) { return !std::binary_search(list->begin(), list->end(), core); });
    };
    keep(online);
    if (allowed.empty()) keep(read_list("sys/fs/cgroup/cpuset.cpus.effective"));
    if (cores.empty() && !before.empty()) {
      note("none of the allowed cores is online: all of them count");
      cores = before;
    }
    if (cores.empty()) {
      note("the system does not say which cores it has: one counts");
      cores = {0};
    }
    topology_.present =
        std::max(static_cast<int>(present.has_value() ? present->size() : 0), cores.back() + 1);
    return cores;
  }

  CpuCore read_core(int number, const std::vector<int>& usable) {
    const std::string base = kCpus + ("cpu" + std::to_string(number)) + "/";
    CpuCore core;
    core.number = number;
    core.frequency = read_number(base + "cpufreq/cpuinfo_max_freq");
    core.capacity = static_cast<int>(std::min<int64_t>(read_number(base + "cpu_capacity"), 1024));
    const auto siblings = read_list(base + "topology/thread_siblings_list");
    if (siblings.has_value()) {
      // Threads of the core that this process may not use are as good as none.
      core.smt_rank =
          static_cast<int>(std::count_if(siblings->begin(), siblings->end(), [&](int other) {
            return other < number && std::binary_search(usable.begin(), usable.end(), other);
          }));
    }
    for (int i = 0; i < kCacheIndexMax; ++i) {
      const std::string cache = base + "cache/index" + std::to_string(i) + "/";
      const std::optional<std::string> type = files_.read(cache + "type");
      if (!type.has_value()) break;
      if (*type == "Instruction") continue;
      const int64_t level = read_number(cache + "level");
      const int64_t bytes = read_number(cache + "size");
      if (level == 2) core.l2_bytes = bytes;
      if (level == 3) core.l3_bytes = bytes;
    }
    if (const CpuinfoCore* known = find_known(number); known != nullptr) {
      if (known->l2_bytes > 0) core.l2_bytes = known->l2_bytes;
      if (known->l3_bytes > 0) core.l3_bytes = known->l3_bytes;
    }
    return core;
  }

  const CpuinfoCore* find_known(int number) const {
    for (const CpuinfoCore& core : known_) {
      if (core.number == number) return &core;
    }
    return nullptr;
  }

  // Of the cpuinfo library; -1: it does not know.
  int known_cluster(const CpuCore& core) const {
    const CpuinfoCore* known = find_known(core.number);
    return known == nullptr ? -1 : known->cluster;
  }

  std::string core_path(const CpuCore& core, const char* file) const {
    return kCpus + ("cpu" + std::to_string(core.number)) + "/" + file;
  }

  // The main id register of a core, by sysfs; 0: not known.
  uint32_t read_midr(const CpuCore& core) {
    const std::string path = core_path(core, "regs/identification/midr_el1");
    const std::optional<std::string> text = files_.read(path);
    if (!text.has_value()) return 0;
    uint64_t midr = 0;
    const bool has_prefix = text->rfind("0x", 0) == 0;
    const char* begin = text->data() + (has_prefix ? 2 : 0);
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(begin, end, midr, 16);
    if (error == std::errc() && rest == end && midr <= UINT32_MAX) {
      return static_cast<uint32_t>(midr);
    }
    note_garbage(path, "a hexadecimal number", *text);
    return 0;
  }

  // By /proc/cpuinfo; where that leaves a core out, by its main id register.
  void read_types() {
    std::vector<int> numbers;
    for (const CpuCore& core : topology_.cores) numbers.push_back(core.number);
    const std::string cpuinfo = files_.read("proc/cpuinfo").value_or("");
    if (cpuinfo.empty()) note("proc/cpuinfo: not there");
    std::vector<std::string> names(numbers.size(), kUnknownCoreType);
    for (const CoreType& type : core_types_of(cpuinfo, numbers)) {
      for (size_t i = 0; i < numbers.size(); ++i) {
        if (std::binary_search(type.cores.begin(), type.cores.end(), numbers[i])) {
          names[i] = type.name;
        }
      }
    }
    for (size_t i = 0; i < numbers.size(); ++i) {
      CpuCore& core = topology_.cores[i];
      const uint32_t midr = read_midr(core);
      if (names[i] == kUnknownCoreType && midr != 0) names[i] = core_type_name(midr);
      designs_.push_back(find_core_design(midr != 0 ? midr : midr_of_core_type(names[i])));
      auto type = std::find_if(topology_.types.begin(), topology_.types.end(),
                               [&](const CoreType& t) { return t.name == names[i]; });
      if (type == topology_.types.end()) {
        type = topology_.types.insert(topology_.types.end(), {names[i], {}});
      }
      type->cores.push_back(core.number);
      core.type = static_cast<int>(type - topology_.types.begin());
    }
  }

  // Cores' worth of time by one control group, 0: as much as there is. Of version 2:
  double quota_of_group(const std::string& path) {
    const std::string name = "sys/fs/cgroup" + path + "/cpu.max";
    const std::optional<std::string> text = files_.read(name);
    if (!text.has_value() || text->rfind("max", 0) == 0) return 0;
    int64_t quota = 0;
    int64_t period = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, quota);
    if (error == std::errc() && rest != end && *rest == ' ' &&
        std::from_chars(rest + 1, end, period).ec == std::errc() && quota > 0 && period > 0) {
      return static_cast<double>(quota) / static_cast<double>(period);
    }
    note_garbage(name, "'max' or two numbers", *text);
    return 0;
  }

  // Of version 1, where each controller may have groups of its own.
  double quota_of_cpu_group(const std::string& path) {
    const std::string old = "sys/fs/cgroup/cpu" + path + "/cpu.cfs_";
    const std::optional<std::string> quota = files_.read(old + "quota_us");
    if (!quota.has_value() || quota->rfind("-1", 0) == 0) return 0;
    const int64_t period = read_number(old + "period_us");
    if (period <= 0) return 0;
    return static_cast<double>(read_number(old + "quota_us")) / static_cast<double>(period);
  }

  // The least of a control group and all above it.
  template <typename QuotaOf>
  void limit_by_groups(std::string path, const QuotaOf& quota_of) {
    for (;;) {
      const double quota = quota_of(path);
      if (quota > 0 && (topology_.quota == 0 || quota < topology_.quota)) topology_.quota = quota;
      if (path.empty()) return;
      const size_t slash = path.rfind('/');
      path.resize(slash == std::string::npos ? 0 : slash);
    }
  }

  // Lines are "id:controllers:path", of version 2 without controllers.
  void read_quota() {
    std::string group;      // in a container the root is the group
    std::string cpu_group;  // of version 1
    const std::string groups = files_.read("proc/self/cgroup").value_or("");
    for (std::string_view rest = groups; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const size_t first = line.find(':');
      const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
      if (second == std::string_view::npos) continue;
      const std::string controllers = ',' + std::string(line.substr(first + 1, second - first - 1));
      const std::string_view path = line.substr(second + 1);
      if (controllers == ",") group = path;
      if ((controllers + ',').find(",cpu,") != std::string::npos) cpu_group = path;
    }
    limit_by_groups(group, [this](const std::string& path) { return quota_of_group(path); });
    limit_by_groups(cpu_group,
                    [this](const std::string& path) { return quota_of_cpu_group(path); });
  }

  // Cores of one type, greatest frequency and capacity, fastest first; cut where the cpuinfo
  // library cuts.
  void make_clusters() {
    const std::vector<double> rates = estimate_rates(topology_).compute;
    std::vector<double> rate_of_cluster;
    std::vector<CpuCluster> clusters;
    std::vector<size_t> first_cores;
    for (size_t i = 0; i < topology_.cores.size(); ++i) {
      const CpuCore& core = topology_.cores[i];
      const auto same = std::find_if(first_cores.begin(), first_cores.end(), [&](size_t first) {
        const CpuCore& other = topology_.cores[first];
        return other.type == core.type && other.frequency == core.frequency &&
               other.capacity == core.capacity && known_cluster(other) == known_cluster(core);
      });
      const auto at = static_cast<size_t>(same - first_cores.begin());
      if (same == first_cores.end()) {
        first_cores.push_back(i);
        const std::string& type = topology_.types[static_cast<size_t>(core.type)].name;
        clusters.push_back({designs_[i] != nullptr ? designs_[i]->name : type, {}, core.frequency});
        rate_of_cluster.push_back(rates[i]);
      }
      clusters[at].cores.push_back(core.number);
    }
    std::vector<size_t> order(clusters.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return rate_of_cluster[a] != rate_of_cluster[b] ? rate_of_cluster[a] > rate_of_cluster[b]
                                                      : a < b;
    });
    for (size_t place = 0; place < order.size(); ++place) {
      topology_.clusters.push_back(std::move(clusters[order[place]]));
      for (CpuCore& core : topology_.cores) {
        const std::vector<int>& members = topology_.clusters.back().cores;
        if (std::binary_search(members.begin(), members.end(), core.number)) {
          core.cluster = static_cast<int>(place);
        }
      }
    }
  }

  const SystemFiles& files_;
  std::span<const CpuinfoCore> known_;
  Topology topology_;
  std::vector<const CoreDesign*> designs_;  // of the cores
};

}  // namespace

const CpuCore* Topology::find(int number) const {
  for (const CpuCore& core : cores) {
    if (core.number == number) return &core;
  }
  return nullptr;
}

Topology read_topology(const SystemFiles& files, std::span<const int> allowed, CpuFeatures features,
                       std::span<const CpuinfoCore> known) {
  return TopologyReader(files, features, known).read(allowed);
}

Topology detect_topology() {
  const SystemFiles files = SystemFiles::of_system();
  return read_topology(files, allowed_core_numbers(), detect_cpu_features(),
                       cpuinfo_cores(files.read("proc/cpuinfo").value_or("")));
}

Result<Topology> replay_topology(const std::string& path) {
  MIDGE_ASSIGN_OR_RETURN(const SystemFiles files, SystemFiles::open(path));
  const char* needed[] = {"sys/devices/system/cpu/possible", "sys/devices/system/cpu/online",
                          "affinity", "proc/cpuinfo"};
  const bool has_cores = std::any_of(std::begin(needed), std::end(needed), [&](const char* file) {
    return files.read(file).has_value();
  });
  if (!has_cores) {
    return make_status(StatusCode::kInvalidFile,
                       "%s: nothing of cores in it, expected sys/devices/system/cpu/online, "
                       "proc/cpuinfo or affinity",
                       shown_path(path).c_str());
  }
  const auto word = [&](const char* file) {
    const std::string text = files.read(file).value_or("0x0");
    uint64_t value = 0;
    const size_t begin = text.rfind("0x", 0) == 0 ? 2 : 0;
    std::from_chars(text.data() + begin, text.data() + text.size(), value, 16);
    return value;
  };
  CpuFeatures features;
  const bool is_arm64 =
      files.read("proc/cpuinfo").value_or("").find("CPU part") != std::string::npos;
  if (is_arm64) {
    features = arm64_features(word("auxv/hwcap"), word("auxv/hwcap2"));
  }
  Topology topology = read_topology(files, {}, features);
  topology.source = (files.is_folder() ? "the folder " : "the recording ") + shown_path(path);
  return topology;
}

std::vector<int> allowed_core_numbers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> numbers;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(static_cast<size_t>(i), &set)) numbers.push_back(i);
    }
  }
  if (numbers.empty()) numbers.push_back(0);
  return numbers;
}

}  // namespace midge
