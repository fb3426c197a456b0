// MIDGE_DCHECK for the engine and all above it. It lives beside the kernels, which may not include
// the engine.
#pragma once

#include "kernels/check.h"  // IWYU pragma: export
