#include "cli/version.h"

#include <algorithm>

#include "cli/commit.h"  // made by cmake/MidgeCommit.cmake
#include "engine/core/status.h"
#include "engine/platform/cpu_features.h"
#include "kernels/kernels.h"

namespace midge {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif

}  // namespace

std::string version_number() { return MIDGE_VERSION; }

std::string version_text() {
  const CpuFeatures machine = detect_cpu_features();
  std::string levels;
  std::string here;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const auto level = static_cast<IsaLevel>(i);
    const bool has_kernels =
        std::any_of(all_kernels().begin(), all_kernels().end(),
                    [&](const KernelInfo& kernel) { return kernel.level == level; });
    if (!has_kernels) continue;
    levels += std::string(levels.empty() ? "" : " ") + isa_level_name(level);
    if (has_level(machine, level)) here = isa_level_name(level);
  }
  return format_string("midge %s (%s)\ncompiler %s, %s\nlevels   %s; here: %s\n", MIDGE_VERSION,
                       MIDGE_COMMIT, kCompiler, MIDGE_BUILD_TYPE, levels.c_str(), here.c_str());
}

}  // namespace midge
