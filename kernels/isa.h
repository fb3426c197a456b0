// What kernels need of a core, and the levels that name sets of it.
#pragma once

#include <cstdint>
#include <string_view>

namespace midge {

/// A set of features of a core. Features are flags without a rank: a core has each or lacks it.
struct CpuFeatures {
  uint32_t bits = 0;

  /// Whether all of `needed` are there.
  constexpr bool has(CpuFeatures needed) const { return (bits & needed.bits) == needed.bits; }
  friend constexpr CpuFeatures operator|(CpuFeatures a, CpuFeatures b) { return {a.bits | b.bits}; }
  friend constexpr CpuFeatures operator&(CpuFeatures a, CpuFeatures b) { return {a.bits & b.bits}; }
  constexpr CpuFeatures& operator|=(CpuFeatures other) { return *this = *this | other; }
  constexpr bool operator==(const CpuFeatures&) const = default;
};

// The features, as in kernels.def. A feature of x86-64 includes that the system saves its
// registers.
namespace cpu {
inline constexpr CpuFeatures kNone = {0};
inline constexpr CpuFeatures kNeon = {1u << 0};      ///< arm64: Advanced SIMD of Armv8.0
inline constexpr CpuFeatures kDot = {1u << 1};       ///< sdot, udot (Armv8.2 DotProd)
inline constexpr CpuFeatures kI8mm = {1u << 2};      ///< smmla, usdot (Armv8.6 I8MM)
inline constexpr CpuFeatures kSve = {1u << 3};       ///< scalable vectors
inline constexpr CpuFeatures kSve2 = {1u << 4};      ///< scalable vectors of Armv9
inline constexpr CpuFeatures kSveI8mm = {1u << 5};   ///< smmla on scalable vectors
inline constexpr CpuFeatures kSme = {1u << 6};       ///< streaming mode and tiles
inline constexpr CpuFeatures kSmeI8I32 = {1u << 7};  ///< smopa of int8 on tiles
inline constexpr CpuFeatures kSme2 = {1u << 8};      ///< several vectors per instruction of SME
inline constexpr CpuFeatures kAvx2 = {1u << 16};     ///< x86-64: AVX2, FMA, F16C
inline constexpr CpuFeatures kAvx512 = {1u << 17};   ///< AVX-512 F, BW, DQ, VL
inline constexpr CpuFeatures kVnni = {1u << 18};     ///< vpdpbusd on 512 bits (AVX-512 VNNI)
inline constexpr CpuFeatures kAmxInt8 = {1u << 19};  ///< tiles with int8, permitted by the system
}  // namespace cpu

/// Names of sets of features, for --isa, tests and reports, weakest first within an architecture.
/// The ISA token of a kernel's name is one of them; it decides how the kernel is compiled. Levels
/// of the other architecture are known (names, recorded CPUs) but have no kernels in a build.
enum class IsaLevel : uint8_t {
  kGeneric,
  kNeon,
  kNeonDot,
  kNeonI8mm,
  kAvx2,
  kAvx512Vnni,
  kAmx,  ///< for prefill
};
inline constexpr int kIsaLevelCount = 7;

/// "generic", "neon_dot" ... as in kernel names.
const char* isa_level_name(IsaLevel level);

/// Finds a level by its name; false if there is none.
bool find_isa_level(std::string_view name, IsaLevel* level);

/// All that kernels may use where a core is said to be of the level.
CpuFeatures level_features(IsaLevel level);

/// The highest level whose features are all there.
IsaLevel top_level(CpuFeatures features);

/// What is left of `features` if nothing beyond the level may be used.
inline CpuFeatures up_to_level(CpuFeatures features, IsaLevel level) {
  return features & level_features(level);
}

inline bool has_level(CpuFeatures features, IsaLevel level) {
  return features.has(level_features(level));
}

}  // namespace midge
