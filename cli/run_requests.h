// midge run --requests: the requests of a file, side by side.
#pragma once

#include <string>

#include "cli/common.h"

namespace midge {

/// Serves every line of the file, a JSON object, and prints an object for each answer when it ends;
/// then a summary: on stderr, or with --json as the last line. Options of `sample` are those that a
/// line leaves out. Stands on the C interface. Errors: invalid_file, naming the line;
/// invalid_argument (an option that the interface does not have); those of the interface;
/// cancelled.
Status run_requests(const RunOptions& run, const SampleOptions& sample, const std::string& path);

}  // namespace midge
