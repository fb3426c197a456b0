// The cores of this machine by their design: big and little ones run the same instructions, but
// not the same kernels best.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace midge {

/// Cores of one design.
struct CoreType {
  std::string name;        ///< vendor and model numbers: letters, digits, - and single spaces
  std::vector<int> cores;  ///< their numbers, ascending

  bool operator==(const CoreType&) const = default;
};

/// The types of the `allowed` cores (ascending), in order of their first core, by the text of
/// Linux's /proc/cpuinfo. Cores that it does not describe are of type "unknown". Pure.
std::vector<CoreType> core_types_of(std::string_view cpuinfo, std::span<const int> allowed);

/// The types of the cores that this process may run on; at least one. Asks the system each time.
std::vector<CoreType> detect_core_types();

}  // namespace midge
