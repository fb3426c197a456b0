// Clocks, temperatures and memory, from recordings of what Linux says.
#include <fstream>

#include <gtest/gtest.h>

#include "bench/model/machine_state.h"
#include "tests/bench/bench_models.h"

namespace midge::bench {
namespace {

TEST(MachineState, ReadsClocksHeatAndThrottling) {
  const MachineState state = machine_state(
      recording("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq: 1800000\n"
                "sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq: 2400000\n"
                "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count: 3\n"
                "sys/devices/system/cpu/cpu4/thermal_throttle/core_throttle_count: 4\n"
                "sys/class/thermal/thermal_zone0/temp: 41500\n"
                "sys/class/thermal/thermal_zone2/temp: 63000\n"
                "sys/class/thermal/thermal_zone3/temp: -40000\n"
                "sys/class/thermal/thermal_zone4/temp: 999999\n"));
  EXPECT_DOUBLE_EQ(state.reported_clock, 2.4e9);
  EXPECT_EQ(state.temperature, 63.0);
  EXPECT_EQ(state.throttlings, 7);
  EXPECT_GT(state.clock, 1e8);
  EXPECT_LT(state.clock, 1e10);
}

TEST(MachineState, WhatIsNotThereIsNotKnown) {
  const MachineState state = machine_state(recording("proc/x: 1\n"));
  EXPECT_EQ(state.reported_clock, 0);
  EXPECT_FALSE(state.temperature.has_value());
  EXPECT_FALSE(state.throttlings.has_value());
}

TEST(MachineState, ReadsTheMemoryOfAProcess) {
  const ProcessMemory memory =
      process_memory(recording("proc/self/status: VmHWM:\t  2000 kB\n"
                               "proc/self/status: RssAnon:\t  700 kB\n"
                               "proc/self/status: RssFile:\t  40 kB\n"
                               "proc/self/status: RssShmem:\t  2 kB\n"));
  EXPECT_EQ(memory.peak, 2000 * 1024);
  EXPECT_EQ(memory.anonymous, 700 * 1024);
  EXPECT_EQ(memory.file, 42 * 1024);
}

TEST(MachineState, DropsAFileFromMemoryOrSaysThatItDidNot) {
  const std::string path = testing::TempDir() + "midge_drop_test";
  std::ofstream(path) << std::string(1 << 20, 'x');
  // Some systems keep what was just written (tmpfs, overlays): either answer, and the file stays.
  (void)drop_from_memory(path);
  std::ifstream file(path, std::ios::ate);
  EXPECT_EQ(file.tellg(), 1 << 20);
  EXPECT_FALSE(drop_from_memory(path + ".absent"));
}

}  // namespace
}  // namespace midge::bench
