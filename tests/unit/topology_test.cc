// What is read of a machine's cores: recorded devices, and files that are missing or garbage.
#include "engine/platform/topology.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "engine/platform/cpu_features.h"
#include "tests/harness/golden.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

std::string recording(const std::string& name) {
  return std::string(MIDGE_TEST_DATA) + "/topologies/" + name + ".txt";
}

// Text of a recording; `extra` comes behind it, so that it may say things again differently.
Topology read_text(const std::string& text, std::vector<int> allowed = {}) {
  const Result<SystemFiles> files = SystemFiles::parse(text, "test");
  EXPECT_TRUE(files.ok()) << files.status().message();
  return read_topology(*files, allowed, cpu::kNeon);
}

std::vector<int> numbers(const Topology& topology) {
  std::vector<int> cores;
  for (const CpuCore& core : topology.cores) cores.push_back(core.number);
  return cores;
}

std::string four_cores() {
  std::string text = "sys/devices/system/cpu/possible: 0-3\nsys/devices/system/cpu/online: 0-3\n";
  for (int i = 0; i < 4; ++i) {
    text +=
        "sys/devices/system/cpu/cpu" + std::to_string(i) + "/cpufreq/cpuinfo_max_freq: 2000000\n";
  }
  return text;
}

struct Expected {
  const char* name;
  std::vector<std::string> clusters;  // "design cores kHz", fastest first
  IsaLevel level;
};

class RecordedTopology : public testing::TestWithParam<Expected> {};

TEST_P(RecordedTopology, HasItsClusters) {
  const Expected& expected = GetParam();
  const Result<Topology> topology = replay_topology(recording(expected.name));
  MIDGE_ASSERT_OK(topology);
  std::vector<std::string> clusters;
  for (const CpuCluster& cluster : topology->clusters) {
    clusters.push_back(cluster.design + " " + core_list_text(cluster.cores) + " " +
                       std::to_string(cluster.frequency));
  }
  EXPECT_EQ(clusters, expected.clusters);
  EXPECT_EQ(top_level(topology->features), expected.level);
  EXPECT_TRUE(topology->notes.empty()) << topology->notes.front();
  for (const CpuCore& core : topology->cores) EXPECT_GT(core.l2_bytes, 0) << core.number;
}

INSTANTIATE_TEST_SUITE_P(
    Devices, RecordedTopology,
    testing::Values(
        Expected{"snapdragon-8-gen-3",
                 {"Cortex-X4 7 3302400", "Cortex-A720 2-4 3148800", "Cortex-A720 5-6 2956800",
                  "Cortex-A520 0-1 2265600"},
                 IsaLevel::kNeonI8mm},
        Expected{
            "snapdragon-8-elite", {"Oryon 6-7 4320000", "Oryon 0-5 3532800"}, IsaLevel::kNeonI8mm},
        Expected{"dimensity-9300",
                 {"Cortex-X4 7 3250000", "Cortex-X4 4-6 2850000", "Cortex-A720 0-3 2000000"},
                 IsaLevel::kNeonI8mm},
        Expected{"dimensity-9500",
                 {"C1-Ultra 7 4210000", "C1-Premium 4-6 3500000", "C1-Pro 0-3 2700000"},
                 IsaLevel::kNeonI8mm},
        Expected{"tensor-g3",
                 {"Cortex-X3 8 2914000", "Cortex-A715 4-7 2367000", "Cortex-A510 0-3 1704000"},
                 IsaLevel::kNeonI8mm},
        Expected{
            "rk3588", {"Cortex-A76 4-7 2400000", "Cortex-A55 0-3 1800000"}, IsaLevel::kNeonDot},
        Expected{"raspberry-pi-5", {"Cortex-A76 0-3 2400000"}, IsaLevel::kNeonDot},
        Expected{"raspberry-pi-4", {"Cortex-A72 0-3 1800000"}, IsaLevel::kNeon},
        Expected{"graviton-3", {"Neoverse-V1 0-63 0"}, IsaLevel::kNeonI8mm},
        Expected{"vm-arm64", {"Neoverse-N1 0-1 0"}, IsaLevel::kNeonDot},
        Expected{"vm-x86", {"AuthenticAMD 25 1 1 0-1 0"}, IsaLevel::kGeneric}),
    [](const auto& device) {
      std::string name = device.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(Topology, OfThisMachineHasTheAllowedCores) {
  const Topology topology = detect_topology();
  EXPECT_EQ(numbers(topology), allowed_core_numbers());
  size_t in_clusters = 0;
  for (const CpuCluster& cluster : topology.clusters) in_clusters += cluster.cores.size();
  EXPECT_EQ(in_clusters, topology.cores.size());
}

TEST(Topology, OfflineAndForbiddenCoresAreLeftOut) {
  const std::string offline =
      "sys/devices/system/cpu/possible: 0-3\nsys/devices/system/cpu/online: 0,2-3\n";
  EXPECT_EQ(numbers(read_text(offline)), (std::vector<int>{0, 2, 3}));
  EXPECT_EQ(numbers(read_text(offline + "affinity: 1-2\n")), (std::vector<int>{2}));
  EXPECT_EQ(numbers(read_text(offline, {1, 3})), (std::vector<int>{3}));
  EXPECT_EQ(numbers(read_text(offline + "sys/fs/cgroup/cpuset.cpus.effective: 0-1\n")),
            (std::vector<int>{0}));
  EXPECT_EQ(read_text(offline).present, 4);
  // The system contradicts itself: better cores that may not run than none.
  const Topology none = read_text(offline, {1});
  EXPECT_EQ(numbers(none), (std::vector<int>{1}));
  ASSERT_FALSE(none.notes.empty());
}

// Of two threads of a core, one that may not be used is as good as none.
TEST(Topology, ForbiddenSiblingsCountForNothing) {
  std::string text = "sys/devices/system/cpu/possible: 0-3\nsys/devices/system/cpu/online: 0-3\n";
  for (const char* pair : {"0", "2"}) {
    text +=
        format_string("sys/devices/system/cpu/cpu%s/topology/thread_siblings_list: 0,2\n", pair);
  }
  for (const char* pair : {"1", "3"}) {
    text +=
        format_string("sys/devices/system/cpu/cpu%s/topology/thread_siblings_list: 1,3\n", pair);
  }
  const auto ranks = [&](const std::vector<int>& allowed) {
    std::vector<int> all;
    for (const CpuCore& core : read_text(text, allowed).cores) all.push_back(core.smt_rank);
    return all;
  };
  EXPECT_EQ(ranks({0, 1, 2, 3}), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(ranks({0, 3}), (std::vector<int>{0, 0}));
  EXPECT_EQ(ranks({1, 2, 3}), (std::vector<int>{0, 0, 1}));
}

TEST(Topology, ListsOfCoresTakeNoMoreThanTheirCores) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "0-4095,";
  text += "7";
  const auto cores = parse_core_list(text);
  ASSERT_TRUE(cores.has_value());
  EXPECT_EQ(cores->size(), 4096u);
  EXPECT_LE(cores->capacity(), 8192u);
}

TEST(Topology, MissingFilesLeaveCoresAlike) {
  const Topology nothing = read_text("");
  EXPECT_EQ(numbers(nothing), (std::vector<int>{0}));
  EXPECT_FALSE(nothing.notes.empty());
  const Topology few = read_text("affinity: 0-2\n");
  EXPECT_EQ(few.clusters.size(), 1u);
  EXPECT_EQ(few.types.size(), 1u);
  EXPECT_EQ(few.types.front().name, kUnknownCoreType);
}

TEST(Topology, GarbageIsNotedAndCountsAsMissing) {
  const char* garbage[] = {
      "sys/devices/system/cpu/online: zero",
      "sys/devices/system/cpu/online: 0-",
      "sys/devices/system/cpu/online: 3-1",
      "sys/devices/system/cpu/online: 99999999999999",
      "sys/devices/system/cpu/cpu1/cpu_capacity: -4",
      "sys/devices/system/cpu/cpu1/cpu_capacity: many",
      "sys/devices/system/cpu/cpu0/topology/thread_siblings_list: 0,,1",
      "sys/devices/system/cpu/cpu2/regs/identification/midr_el1: 0xnothing",
      "sys/devices/system/cpu/cpu2/regs/identification/midr_el1: 0xffffffffffffffffff",
      "sys/fs/cgroup/cpu.max: much 100000",
      "sys/fs/cgroup/cpu.max: -5 100000",
  };
  const size_t notes = read_text("affinity: 0-3\nproc/cpuinfo: processor : 0\n").notes.size();
  for (const char* line : garbage) {
    const Topology topology =
        read_text("affinity: 0-3\nproc/cpuinfo: processor : 0\n" + std::string(line) + "\n");
    EXPECT_EQ(numbers(topology), (std::vector<int>{0, 1, 2, 3})) << line;
    ASSERT_EQ(topology.notes.size(), notes + 1) << line;
    const std::string path(line, std::string_view(line).find(':'));
    EXPECT_NE(topology.notes.back().find(path), std::string::npos) << topology.notes.back();
    EXPECT_EQ(topology.quota, 0);
  }
}

TEST(Topology, QuotasOfControlGroups) {
  const std::string base = four_cores();
  const auto quota = [&](const std::string& text) { return read_text(base + text).quota; };
  EXPECT_EQ(quota(""), 0);
  EXPECT_EQ(quota("sys/fs/cgroup/cpu.max: max 100000\n"), 0);
  EXPECT_EQ(quota("sys/fs/cgroup/cpu.max: 50000 100000\n"), 0.5);
  // The least on the way up.
  const std::string groups =
      "proc/self/cgroup: 0::/a/b\nsys/fs/cgroup/a/cpu.max: 150000 100000\n"
      "sys/fs/cgroup/a/b/cpu.max: 300000 100000\n";
  EXPECT_EQ(quota(groups), 1.5);
  // Version 1.
  EXPECT_EQ(quota("proc/self/cgroup: 4:cpu,cpuacct:/box\n"
                  "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us: 250000\n"
                  "sys/fs/cgroup/cpu/box/cpu.cfs_period_us: 100000\n"),
            2.5);
  EXPECT_EQ(quota("sys/fs/cgroup/cpu/cpu.cfs_quota_us: -1\n"), 0);
  // Groups of other controllers may have the name of one that has nothing to do with the process.
  const std::string others =
      "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us: 50000\n"
      "sys/fs/cgroup/cpu/box/cpu.cfs_period_us: 100000\n";
  EXPECT_EQ(quota("proc/self/cgroup: 3:cpuset:/box\n" + others), 0);
  EXPECT_EQ(quota("proc/self/cgroup: 2:cpuacct,cpu:/box\n" + others), 0.5);
}

TEST(Topology, AFolderIsReadLikeTheSystem) {
  const test::TempDir dir;
  const std::filesystem::path cpus = std::filesystem::path(dir.path()) / "sys/devices/system/cpu";
  std::filesystem::create_directories(cpus);
  std::ofstream(cpus / "online") << "0-2\n";
  const Result<Topology> topology = replay_topology(dir.path());
  MIDGE_ASSERT_OK(topology);
  EXPECT_EQ(numbers(*topology), (std::vector<int>{0, 1, 2}));
}

TEST(Topology, RecordingsThatAreNone) {
  EXPECT_EQ(replay_topology(recording("no-such-device")).status().code(), StatusCode::kNotFound);
  const test::TempDir empty;
  EXPECT_EQ(replay_topology(empty.path()).status().code(), StatusCode::kInvalidFile);
  const Result<SystemFiles> files = SystemFiles::parse("# a\n\nno colon here\n", "some.txt");
  EXPECT_EQ(files.status().code(), StatusCode::kInvalidFile);
  EXPECT_NE(files.status().message().find("some.txt: line 3 of a recording"), std::string::npos)
      << files.status().message();
}

TEST(Topology, ListsOfCores) {
  EXPECT_EQ(parse_core_list("0-2,7"), (std::vector<int>{0, 1, 2, 7}));
  EXPECT_EQ(parse_core_list("3,1,1-2"), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(parse_core_list(""), std::vector<int>());
  for (const char* text : {"a", "1-", "-1", "1,", ",1", "2-1", "1;2", "4096"}) {
    EXPECT_FALSE(parse_core_list(text).has_value()) << text;
  }
  EXPECT_EQ(core_list_text({0, 1, 2, 7}), "0-2,7");
  EXPECT_EQ(core_list_text({}), "");
}

TEST(Topology, DesignsByTheirMainIdRegister) {
  ASSERT_NE(find_core_design(0x414fd0b1), nullptr);
  EXPECT_STREQ(find_core_design(0x414fd0b1)->name, "Cortex-A76");
  EXPECT_EQ(find_core_design(0x410fffff), nullptr);
  EXPECT_EQ(core_type_name(0x414fd0b1), "0x41 0x4 0xd0b 1");
  EXPECT_EQ(midr_of_core_type("0x41 0x4 0xd0b 1"), 0x414fd0b1u);
  EXPECT_EQ(midr_of_core_type("AuthenticAMD 25 1 1"), 0u);
}

}  // namespace
}  // namespace midge
