// Which instruction set levels the cores of this machine may run.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace midge {

/// The levels of a 64-bit Arm core by what Linux says in the auxiliary vector (AT_HWCAP,
/// AT_HWCAP2), which holds what every core of the system has. Pure.
IsaLevels arm64_isa_levels(uint64_t hwcap, uint64_t hwcap2);

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

/// The levels of an x86-64 core: a level needs its instructions and an operating system that saves
/// its registers. Pure.
IsaLevels x86_64_isa_levels(const X86Words& words);

/// The levels of this machine; generic alone where nothing else is known. Asks the system each
/// time. On a core with AMX this asks Linux for the permission to use tiles, which holds for all
/// threads of the process from then on and makes the least size of an alternate signal stack grow.
IsaLevels detect_isa_levels();

}  // namespace midge
