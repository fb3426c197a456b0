// Every kernel by its name. Only for the registry and for tests that call a kernel themselves: who
// includes this is compiled anew when a kernel is added.
#pragma once

#include "kernels/kernel_types.h"

namespace midge {

#define MIDGE_KERNEL(op, name, ...) void name(const op##Args* args);
extern "C" {
#include "kernels/kernels.def"
}
#undef MIDGE_KERNEL

}  // namespace midge
