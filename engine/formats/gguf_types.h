// The names that GGUF gives to types of weights.
#pragma once

#include "kernels/encoding.h"

namespace midge {

/// "Q4_0", "BF16" …: of every encoding one.
const char* gguf_type_name(Encoding encoding);

}  // namespace midge
