// The cores of each class of passes: on recorded devices, by measured rates, and as asked for.
#include "engine/platform/core_choice.h"

#include <gtest/gtest.h>

#include "engine/platform/loop_shares.h"
#include "kernels/kernels.h"
#include "tests/harness/golden.h"

namespace midge {
namespace {

Topology recorded(const std::string& name) {
  Result<Topology> topology =
      replay_topology(std::string(MIDGE_TEST_DATA) + "/topologies/" + name + ".txt");
  EXPECT_TRUE(topology.ok()) << topology.status().message();
  return *topology;
}

CoreChoice choose(const Topology& topology, const CoreRates& rates,
                  const CoreRequest& request = {}) {
  Result<CoreChoice> choice = choose_cores(topology, rates, request);
  EXPECT_TRUE(choice.ok()) << choice.status().message();
  return *choice;
}

using Cores = std::vector<int>;

// The row split: tiles of 256 that each core of the prompt's set begins with.
std::vector<int64_t> split_of(const Topology& topology, const Cores& cores) {
  const CoreRates rates = estimate_rates(topology);
  std::vector<double> of_cores;
  for (const int number : cores) {
    of_cores.push_back(
        rates.compute[static_cast<size_t>(topology.find(number) - &topology.cores[0])]);
  }
  LoopShares shares(static_cast<int>(cores.size()));
  shares.start(of_cores);
  std::vector<int64_t> tiles;
  for (size_t i = 0; i < cores.size(); ++i) {
    const LoopShares::Share share = shares.share(256, static_cast<int>(i));
    tiles.push_back(share.last - share.first);
  }
  return tiles;
}

struct Expected {
  const char* name;
  Cores decode;
  std::string decode_why;
  Cores prompt;
  std::string prompt_why;
  std::vector<int64_t> tiles;  // of 256
  const char* kernel;          // 4-bit decode on every type of its cores, in an arm64 build
};

class RecordedChoice : public testing::TestWithParam<Expected> {};

TEST_P(RecordedChoice, BeforeAnythingIsMeasured) {
  const Expected& expected = GetParam();
  const Topology topology = recorded(expected.name);
  const CoreChoice choice = choose(topology, estimate_rates(topology));
  for (const PassClass c : {PassClass::kRow, PassClass::kFewRows, PassClass::kSomeRows}) {
    EXPECT_EQ(choice.of(c).cores, expected.decode);
    EXPECT_EQ(choice.of(c).why, expected.decode_why);
  }
  const CoreSet& prompt = choice.of(PassClass::kPanel);
  EXPECT_EQ(prompt.cores, expected.prompt);
  EXPECT_EQ(prompt.why, expected.prompt_why);
  EXPECT_EQ(split_of(topology, prompt.cores), expected.tiles);
#if defined(__aarch64__)
  const KernelInfo* kernel = select_kernel(Op::kGemv, Encoding::kQ4B32, {topology.features}, 1);
  ASSERT_NE(kernel, nullptr);
  EXPECT_STREQ(isa_level_name(kernel->level), expected.kernel);
#endif
}

const std::string kFour =
    "the 4 fastest cores: more cores seldom read memory faster (not measured)";
const std::string kBigOnes =
    "the 4 fastest cores: the others have less than half of their speed (not measured)";
const std::string kAlike = "all cores, which are alike";

INSTANTIATE_TEST_SUITE_P(
    Devices, RecordedChoice,
    testing::Values(
        Expected{"snapdragon-8-gen-3",
                 {7, 2, 3, 4},
                 kFour,
                 {7, 2, 3, 4, 5, 6, 0, 1},
                 "all cores: the slowest adds 5 %",
                 {71, 33, 33, 33, 31, 31, 12, 12},
                 "neon_i8mm"},
        Expected{"snapdragon-8-elite",
                 {6, 7, 0, 1},
                 kFour,
                 {6, 7, 0, 1, 2, 3, 4, 5},
                 "all cores: the slowest adds 13 %",
                 {37, 37, 31, 31, 30, 30, 30, 30},
                 "neon_i8mm"},
        Expected{"dimensity-9300",
                 {7, 4, 5, 6},
                 kFour,
                 {7, 4, 5, 6, 0, 1, 2, 3},
                 "all cores: the slowest adds 7 %",
                 {53, 47, 46, 46, 16, 16, 16, 16},
                 "neon_i8mm"},
        Expected{"dimensity-9500",
                 {7, 4, 5, 6},
                 kBigOnes,
                 {7, 4, 5, 6, 0, 1, 2, 3},
                 "all cores: the slowest adds 5 %",
                 {60, 50, 49, 49, 12, 12, 12, 12},
                 "neon_i8mm"},
        Expected{"tensor-g3",
                 {8, 4, 5, 6},
                 kFour,
                 {8, 4, 5, 6, 7, 0, 1, 2, 3},
                 "all cores: the slowest adds 5 %",
                 {81, 33, 33, 33, 32, 11, 11, 11, 11},
                 "neon_i8mm"},
        Expected{"rk3588",
                 {4, 5, 6, 7},
                 kBigOnes,
                 {4, 5, 6, 7, 0, 1, 2, 3},
                 "all cores: the slowest adds 7 %",
                 {47, 47, 47, 47, 17, 17, 17, 17},
                 "neon_dot"},
        Expected{"raspberry-pi-5",
                 {0, 1, 2, 3},
                 "all cores (not measured)",
                 {0, 1, 2, 3},
                 kAlike,
                 {64, 64, 64, 64},
                 "neon_dot"},
        Expected{"raspberry-pi-4",
                 {0, 1, 2, 3},
                 "all cores (not measured)",
                 {0, 1, 2, 3},
                 kAlike,
                 {64, 64, 64, 64},
                 "neon"},
        Expected{
            "vm-arm64", {0, 1}, "all cores (not measured)", {0, 1}, kAlike, {128, 128}, "neon_dot"},
        Expected{
            "vm-x86", {0, 1}, "all cores (not measured)", {0, 1}, kAlike, {128, 128}, "generic"}),
    [](const auto& device) {
      std::string name = device.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(CoreChoice, ServersDecodeOnAllCores) {
  const Topology topology = recorded("graviton-3");
  const CoreChoice choice = choose(topology, estimate_rates(topology));
  EXPECT_EQ(choice.of(PassClass::kRow).cores.size(), 64u);
  EXPECT_EQ(choice.of(PassClass::kPanel).cores.size(), 64u);
}

// Two threads of a Raspberry Pi 5 read more than four. Rates of the order that its users report.
TEST(CoreChoice, DecodeTakesTheFewestCoresThatReadTheMost) {
  const Topology topology = recorded("raspberry-pi-5");
  CoreRates rates = estimate_rates(topology);
  rates.reads = {{1, 9.0e9}, {2, 11.4e9}, {4, 10.7e9}};
  const CoreChoice choice = choose(topology, rates);
  EXPECT_EQ(choice.of(PassClass::kRow).cores, (Cores{0, 1}));
  EXPECT_EQ(choice.of(PassClass::kRow).why,
            "2 cores read 11.4 GB/s of weights as measured, 4 do not read more (10.7)");
  EXPECT_EQ(choice.of(PassClass::kPanel).cores.size(), 4u);
}

// With more rows a core works longer on each weight: then more cores are worth it.
TEST(CoreChoice, MoreRowsTakeMoreCores) {
  const Topology topology = recorded("raspberry-pi-5");
  CoreRates rates = estimate_rates(topology);
  rates.reads = {{1, 9.0e9}, {2, 11.4e9}, {4, 10.7e9}};
  rates.weights[static_cast<int>(PassClass::kRow)] = {8e9, 8e9, 8e9, 8e9};
  rates.weights[static_cast<int>(PassClass::kFewRows)] = {4e9, 4e9, 4e9, 4e9};
  rates.weights[static_cast<int>(PassClass::kSomeRows)] = {2e9, 2e9, 2e9, 2e9};
  const CoreChoice choice = choose(topology, rates);
  EXPECT_EQ(choice.of(PassClass::kRow).cores.size(), 2u);
  EXPECT_EQ(choice.of(PassClass::kFewRows).cores.size(), 4u);
  EXPECT_EQ(choice.of(PassClass::kSomeRows).cores.size(), 4u);
  EXPECT_EQ(choice.of(PassClass::kSomeRows).why,
            "4 cores work through 8.0 GB/s of weights as measured, fewer are slower");
}

TEST(CoreChoice, CoresThatAddNothingAreLeftOut) {
  const Topology topology = recorded("snapdragon-8-gen-3");
  CoreRates rates = estimate_rates(topology);
  rates.compute = {0.05, 0.05, 1, 1, 1, 1, 1, 2};
  const CoreSet set = choose(topology, rates).of(PassClass::kPanel);
  EXPECT_EQ(set.cores, (Cores{7, 2, 3, 4, 5, 6}));
  EXPECT_EQ(set.why, "the 6 fastest cores: each other one adds less than 2 %");
}

TEST(CoreChoice, AsAskedFor) {
  const Topology topology = recorded("snapdragon-8-gen-3");
  const CoreRates rates = estimate_rates(topology);
  const auto cores = [&](const CoreRequest& request) {
    return choose(topology, rates, request).of(PassClass::kRow).cores;
  };
  EXPECT_EQ(cores({0, "prime"}), (Cores{7}));
  EXPECT_EQ(cores({0, "big"}), (Cores{7, 2, 3, 4, 5, 6}));
  EXPECT_EQ(cores({0, "all"}), (Cores{7, 2, 3, 4, 5, 6, 0, 1}));
  EXPECT_EQ(cores({0, "0-3"}), (Cores{2, 3, 0, 1}));
  EXPECT_EQ(cores({2, ""}), (Cores{7, 2}));
  EXPECT_EQ(cores({2, "0-3"}), (Cores{2, 3}));
  EXPECT_EQ(choose(topology, rates, {0, "0-3"}).of(PassClass::kPanel).cores, (Cores{2, 3, 0, 1}));
  for (const char* text : {"little", "0-", "9", "-1", "0,8"}) {
    const Status status = choose_cores(topology, rates, {0, text}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_NE(status.message().find(text), std::string::npos) << status.message();
  }
  EXPECT_EQ(choose_cores(topology, rates, {257, ""}).status().code(), StatusCode::kInvalidArgument);
}

TEST(CoreChoice, AQuotaLimitsTheCores) {
  Topology topology = recorded("raspberry-pi-5");
  const CoreRates rates = estimate_rates(topology);
  topology.quota = 2.5;
  EXPECT_EQ(choose(topology, rates).of(PassClass::kPanel).cores, (Cores{0, 1}));
  topology.quota = 0.5;
  const CoreChoice choice = choose(topology, rates);
  EXPECT_EQ(choice.of(PassClass::kRow).cores, (Cores{0}));
  EXPECT_EQ(choice.of(PassClass::kRow).why,
            "the control group allows the time of 0.5 cores; of 1 core, the only allowed core (not "
            "measured)");
  // Who asks for threads gets them.
  EXPECT_EQ(choose(topology, rates, {3, ""}).of(PassClass::kRow).cores.size(), 3u);
}

TEST(CoreChoice, ThreadsOfOneCoreShareIt) {
  Topology topology = recorded("raspberry-pi-5");
  topology.cores[1].smt_rank = 1;
  topology.cores[3].smt_rank = 1;
  const CoreChoice choice = choose(topology, estimate_rates(topology));
  EXPECT_EQ(choice.of(PassClass::kPanel).cores, (Cores{0, 2}));
  EXPECT_EQ(choice.of(PassClass::kPanel).why,
            "one thread of each core: its threads share the vector units");
}

TEST(CoreChoice, ClassesOfPasses) {
  EXPECT_EQ(pass_class(1, 0), PassClass::kRow);
  EXPECT_EQ(pass_class(2, 0), PassClass::kFewRows);
  EXPECT_EQ(pass_class(4, 0), PassClass::kFewRows);
  EXPECT_EQ(pass_class(5, 0), PassClass::kSomeRows);
  EXPECT_EQ(pass_class(8, 0), PassClass::kSomeRows);
  EXPECT_EQ(pass_class(9, 0), PassClass::kPanel);
  EXPECT_EQ(pass_class(1, 1), PassClass::kPanel);
}

}  // namespace
}  // namespace midge
