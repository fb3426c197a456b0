// The instructions of AMX on cores without them, so that kernels of the level can be checked there:
// a handler of SIGILL carries them out.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace midge::test {

/// The features of this machine and, where the core has all that kernels of amx need but the
/// instructions on tiles, those. Installs the handler then.
///
/// The handler knows ldtilecfg, tileloadd, tilestored, tilezero, tdpbssd and tilerelease, as
/// Intel's manual (volume 2) defines them, with tiles for each thread. What the processor would
/// refuse, and every other instruction, goes to the handler that was there before. Memory is
/// accessed with no signal blocked: a fault is the thread's own, as that of the instruction would
/// be.
CpuFeatures features_with_emulation();

/// Whether features_with_emulation() has them by emulation.
bool emulates_amx();

/// Puts the handler before one that was installed since.
void reinstall_amx_emulation();

/// How many instructions the calling thread had carried out.
int64_t emulated_instructions();

/// Releases the tiles of the calling thread, emulated or real. True if they were in use.
bool release_tiles();

}  // namespace midge::test
