// Names that people type, as what the executor takes.
#pragma once

#include <string>

#include "engine/core/status.h"
#include "kernels/kernels.h"

namespace midge {

/// The features of this machine up to the named ISA level; all of them for an empty name.
/// Errors: invalid_argument (unknown, or this machine lacks it; the message lists those it has).
Result<CpuFeatures> isa_features(const std::string& level);

/// The choice among the kernels of that level that prefers those whose names match the glob; points
/// into it. Errors: invalid_argument (ISA level, a glob that no kernel matches).
Result<KernelChoice> kernel_choice(const std::string& level, const std::string& glob);

}  // namespace midge
