// Files that are there as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "engine/core/status.h"

namespace midge {

/// Writes a file of these bytes: beside `path` and renamed, so that nobody sees a part of it, and
/// writers of the same path do not meet. Readable by the user alone. Errors: io_error.
Status write_whole_file(const std::string& path, std::string_view bytes);

}  // namespace midge
