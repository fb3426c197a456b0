// Types of cores by recorded /proc/cpuinfo texts, and of this machine.
#include <numeric>

#include <gtest/gtest.h>

#include "engine/platform/core_types.h"
#include "engine/platform/topology.h"
#include "engine/platform/worker_team.h"

namespace midge {
namespace {

std::string arm_core(int number, const std::string& part, const std::string& variant) {
  return "processor\t: " + std::to_string(number) +
         "\nBogoMIPS\t: 38.40\nFeatures\t: fp asimd asimddp\nCPU implementer\t: 0x41\n"
         "CPU architecture: 8\nCPU variant\t: " +
         variant + "\nCPU part\t: " + part + "\nCPU revision\t: 0\n\n";
}

// A phone with four Cortex-A55, two Cortex-A76 and two Cortex-X1.
std::string phone() {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    text += i < 4 ? arm_core(i, "0xd05", "0x2")
                  : arm_core(i, i < 6 ? "0xd0b" : "0xd44", i < 6 ? "0x4" : "0x1");
  }
  return text + "Hardware\t: a phone\n";
}

std::vector<int> first_cores(int count) {
  std::vector<int> cores(static_cast<size_t>(count));
  std::iota(cores.begin(), cores.end(), 0);
  return cores;
}

TEST(CoreTypes, BigAndLittle) {
  const std::vector<CoreType> expected = {{"0x41 0x2 0xd05 0", {0, 1, 2, 3}},
                                          {"0x41 0x4 0xd0b 0", {4, 5}},
                                          {"0x41 0x1 0xd44 0", {6, 7}}};
  EXPECT_EQ(core_types_of(phone(), first_cores(8)), expected);
}

TEST(CoreTypes, OnlyAllowedCores) {
  const std::vector<int> allowed = {3, 6, 7};
  const std::vector<CoreType> expected = {{"0x41 0x2 0xd05 0", {3}}, {"0x41 0x1 0xd44 0", {6, 7}}};
  EXPECT_EQ(core_types_of(phone(), allowed), expected);
}

TEST(CoreTypes, ServerOfOneType) {
  std::string text;
  for (int i = 0; i < 2; ++i) {
    text += "processor\t: " + std::to_string(i) +
            "\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
            "model name\t: AMD EPYC 9R14\nstepping\t: 1\ncpu MHz\t\t: 2600.1" +
            std::to_string(i) + "\n\n";
  }
  const std::vector<CoreType> expected = {{"AuthenticAMD 25 17 1", {0, 1}}};
  EXPECT_EQ(core_types_of(text, first_cores(2)), expected);
}

TEST(CoreTypes, CoresThatAreNotDescribed) {
  const std::vector<CoreType> all = {{"unknown", {0, 1}}};
  for (const char* text :
       {"", "\n\n:\n", "processor", "processor : 99999999999999999999\nmodel : 1",
        "model : 1\nprocessor : 0\n"}) {
    EXPECT_EQ(core_types_of(text, first_cores(2)), all) << text;
  }
  const std::vector<CoreType> some = {{"0x41 0x2 0xd05 0", {0}}, {"unknown", {1}}};
  EXPECT_EQ(core_types_of(arm_core(0, "0xd05", "0x2"), first_cores(2)), some);
}

// Names become part of a line of a file.
TEST(CoreTypes, NamesArePlain) {
  const std::vector<CoreType> types =
      core_types_of("processor: 0\nvendor_id: a b,\x01\xff/\r\nmodel:", first_cores(1));
  ASSERT_EQ(types.size(), 1u);
  EXPECT_EQ(types[0].name, "a-b----");
}

TEST(CoreTypes, ThisMachine) {
  const std::vector<CoreType> types = detect_topology().types;
  size_t cores = 0;
  for (const CoreType& type : types) {
    EXPECT_FALSE(type.name.empty());
    cores += type.cores.size();
  }
  EXPECT_EQ(cores, static_cast<size_t>(allowed_cores()));
}

}  // namespace
}  // namespace midge
