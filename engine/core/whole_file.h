// Files that are there as a whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "engine/core/status.h"

namespace midge {

/// Writes a file of these bytes: beside `path` and renamed, so that nobody sees a part of it, and
/// writers of the same path do not meet. Readable by the user alone. A link is replaced. Errors:
/// io_error.
Status write_whole_file(const std::string& path, std::string_view bytes);
/// The same, where a person names the path: a link stays, and the file that it leads to is
/// replaced; a device or a pipe is written into; a power cut leaves the old file or the new one,
/// too.
Status write_users_file(const std::string& path, std::string_view bytes);

/// Makes what is missing of the path of a folder, for the user alone (mode 0700): what lies in a
/// cache decides what is computed. Of a folder that cannot be made the next step tells.
void make_private_folders(const std::string& folder);

}  // namespace midge
