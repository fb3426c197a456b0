// The ISA levels that detection must find, from sources that it does not read.
#pragma once

#include <string>

#include "kernels/kernels.h"

namespace midge::test {

/// The levels that a core with these features has, "generic neon": weakest first.
std::string level_names(CpuFeatures features);

/// AT_HWCAP and AT_HWCAP2.
struct Arm64Words {
  uint64_t hwcap = 0;
  uint64_t hwcap2 = 0;
  std::string unknown = {};  ///< words that name no bit of them
};

/// The words behind a "Features" line of /proc/cpuinfo.
Arm64Words arm64_words(const std::string& features);

/// The levels of this machine: by the emulated CPU's name (QEMU_CPU), else by the list of features
/// in /proc/cpuinfo.
std::string expected_level_names();

}  // namespace midge::test
