// Which features the cores of this machine have.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace midge {

/// The features of a 64-bit Arm core by what Linux says in the auxiliary vector (AT_HWCAP,
/// AT_HWCAP2), which holds what every core of the system has. Pure.
CpuFeatures arm64_features(uint64_t hwcap, uint64_t hwcap2);

/// What an x86-64 core says of itself.
struct X86Words {
  uint32_t leaf1_ecx;  ///< CPUID leaf 1
  uint32_t leaf7_ebx;  ///< CPUID leaf 7, sub-leaf 0; zeros where the core has no leaf 7
  uint32_t leaf7_ecx;
  uint64_t xcr0;  ///< registers that the operating system saves; 0 without OSXSAVE
  uint32_t leaf7_edx = 0;
  /// Linux lets the process use the data of tiles, which it saves on request only.
  bool tile_permission = false;
};

/// The features of an x86-64 core: the instructions, where the operating system saves their
/// registers. Pure.
CpuFeatures x86_64_features(const X86Words& words);

/// The features of this machine; none where nothing else is known. Asks the system each time. On a
/// core with AMX this asks Linux for the permission to use tiles, which holds for all threads of
/// the process from then on and makes the least size of an alternate signal stack grow.
CpuFeatures detect_cpu_features();

}  // namespace midge
