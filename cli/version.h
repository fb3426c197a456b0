// What --version says.
#pragma once

#include <string>

namespace midge {

/// "0.2.0".
std::string version_number();
/// Version, commit, compiler, build type, libraries left out, and the levels of this build and this
/// machine: several lines.
std::string version_text();

}  // namespace midge
