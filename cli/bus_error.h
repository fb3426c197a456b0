// A mapped file that shrinks under the program.
#pragma once

namespace midge {

/// Installs the program's handler of SIGBUS: access to a part of a mapped file that is no longer
/// there prints "midge: error: FILE: truncated while in use ..." and ends the program with the exit
/// code of io_error. The library installs no handler (engine/core/mapped_file.h).
void report_bus_errors();

}  // namespace midge
