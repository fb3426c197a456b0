// Every level that this machine has must run its kernels; those that it lacks, and those that run
// with the help of the harness, are listed.
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/harness/amx_emulation.h"
#include "tests/harness/expected_levels.h"
#include "tests/harness/kernel_harness.h"

namespace midge {
namespace {

TEST(Levels, ThoseOfThisMachineRun) {
  const std::string expected = ' ' + test::expected_level_names() + ' ';
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    const std::string name = isa_level_name(level);
    const bool should_run = expected.find(' ' + name + ' ') != std::string::npos;
    const bool is_emulated = !should_run && level == IsaLevel::kAmx && test::emulates_amx();
    int count = 0;
    for (const KernelInfo& kernel : all_kernels()) {
      if (kernel.level != level) continue;
      // A kernel may need less than its level has, and then runs where the level is not whole.
      if (should_run || is_emulated || kernel.features == level_features(level)) {
        EXPECT_EQ(test::can_run(kernel), should_run || is_emulated) << kernel.name;
      }
      ++count;
    }
    if (count > 0) {
      std::printf("[ levels   ] %-11s %3d kernels%s\n", name.c_str(), count,
                  should_run    ? ""
                  : is_emulated ? ", instructions on tiles emulated: this machine lacks them"
                                : ", not run: this machine lacks it");
    }
  }
}

}  // namespace
}  // namespace midge
