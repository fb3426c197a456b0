// What tells models apart whose keys and values differ.
#pragma once

#include "engine/packed/packed_file.h"
#include "engine/session/executor.h"

namespace midge {

/// A hash of what passes compute with: the config's numbers, arithmetic, and of each matrix its
/// name, shape, encoding and 12 KiB at its beginning, middle and end. The same weights have one id
/// whether they come from a packed file or another one. Reads some megabytes.
ContentHash model_identity(const Executor& executor);

}  // namespace midge
