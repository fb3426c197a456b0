// The cores of this machine by their design: big and little ones run the same instructions, but
// not the same kernels best.
#pragma once

#include <cstdint>
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

/// The name of cores that nothing is known of.
inline constexpr char kUnknownCoreType[] = "unknown";

/// The name that /proc/cpuinfo would give a 64-bit Arm core, by its main id register. Pure.
std::string core_type_name(uint32_t midr);

/// The main id register of a 64-bit Arm core by such a name; 0: of another kind of core. Pure.
uint32_t midr_of_core_type(std::string_view name);

}  // namespace midge
