// Calls of functions that may be wrong: what they do to registers, and where they crash.
#pragma once

#include <string>

namespace midge::test {

/// What became of a call.
struct CallOutcome {
  /// Names of the registers that were not preserved; of tiles that were not released.
  std::string registers;
  int signal = 0;                       ///< that ended the call; 0: it returned
  const void* fault_address = nullptr;  ///< of that signal
};

/// function(args) with junk in every register that a function may use, by midge_call_checked
/// (call_checked_*.S). A SIGSEGV, SIGBUS, SIGILL or SIGFPE inside of it ends the call, not the
/// program. Installs signal handlers at the first call. One thread at a time.
CallOutcome call_checked(void (*function)(), const void* args);

}  // namespace midge::test
