// What of a model runs slower than it could.
#pragma once

#include <string>

#include "api/loaded_model.h"

namespace midge {

/// One line that names the option that helps; empty: nothing large runs slowly. For packed
/// arithmetic.
std::string slow_path_note(const LoadedModel& model);

}  // namespace midge
