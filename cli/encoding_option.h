// Names of encodings on the command line.
#pragma once

#include <string>

#include "cli/option_checks.h"
#include "engine/core/status.h"
#include "kernels/encoding.h"

namespace midge {

/// By midge's name or GGUF's, in any case. Errors: invalid_argument.
Result<Encoding> encoding_of_name(std::string name);

/// That a text is the name of an encoding that matrices are made into.
OptionCheck encoding_check();

}  // namespace midge
