// Kernels with one fault each, for the test of the harness. Written in assembly where C++ cannot
// have the fault; broken_kernels_*.S.
#pragma once

#include "kernels/kernels.h"

extern "C" {

/// add_f32_f32_generic after breaking the rule of its name.
#if defined(__aarch64__)
#define MIDGE_REGISTER_FAULTS(fault) \
  fault(x19) fault(x28) fault(x29) fault(d8) fault(d15) fault(fpcr)
#elif defined(__x86_64__)
#define MIDGE_REGISTER_FAULTS(fault) fault(rbx) fault(rbp) fault(r12) fault(r15) fault(mxcsr)
#endif
#define MIDGE_DECLARE_FAULT(name) void broken_add_##name(const midge::AddArgs* args);
MIDGE_REGISTER_FAULTS(MIDGE_DECLARE_FAULT)
#undef MIDGE_DECLARE_FAULT

/// Runs into an instruction that no core has.
void broken_add_illegal(const midge::AddArgs* args);

}  // extern "C"
