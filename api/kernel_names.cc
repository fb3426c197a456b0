#include "api/kernel_names.h"

#include <algorithm>

#include "engine/platform/cpu_features.h"

namespace midge {

Result<CpuFeatures> isa_features(const std::string& name) {
  const CpuFeatures available = detect_cpu_features();
  if (name.empty()) return available;
  IsaLevel level = IsaLevel::kGeneric;
  if (!find_isa_level(name, &level) || !has_level(available, level)) {
    std::string known;
    for (int i = 0; i < kIsaLevelCount; ++i) {
      if (!has_level(available, static_cast<IsaLevel>(i))) continue;
      known += (known.empty() ? "" : ", ");
      known += isa_level_name(static_cast<IsaLevel>(i));
    }
    return make_status(StatusCode::kInvalidArgument, "ISA level '%s', this machine has: %s",
                       printable(name).c_str(), known.c_str());
  }
  return up_to_level(available, level);
}

Result<KernelChoice> kernel_choice(const std::string& level, const std::string& glob) {
  KernelChoice choice;
  MIDGE_ASSIGN_OR_RETURN(choice.features, isa_features(level));
  choice.prefer = glob;
  if (!glob.empty()) {
    const auto kernels = all_kernels();
    if (std::none_of(kernels.begin(), kernels.end(), [&](const KernelInfo& kernel) {
          return choice.features.has(kernel.features) && matches_glob(glob, kernel.name);
        })) {
      return make_status(StatusCode::kInvalidArgument,
                         "no kernel that may be used matches '%s' (midge cpu --all lists them)",
                         printable(glob).c_str());
    }
  }
  return choice;
}

}  // namespace midge
