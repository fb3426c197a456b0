// Assertions on what a caller owes. They stop the program in development builds and cost nothing in
// others. engine/core/check.h offers them to the engine.
#pragma once

// The build says whether they are on (CMake option MIDGE_DCHECKS); without a word they are off.
#if !defined(MIDGE_DCHECKS)
#define MIDGE_DCHECKS 0
#endif

namespace midge {

/// Whether MIDGE_DCHECK checks in this build.
inline constexpr bool kDchecks = MIDGE_DCHECKS != 0;

/// Prints the place, the condition and the message to standard error, then aborts. Not inline: a
/// copy compiled for one ISA level must never serve another
/// (tests/kernels/check_weak_symbols.cmake).
[[noreturn]] void dcheck_failed(const char* file, int line, const char* condition);
[[noreturn, gnu::format(printf, 4, 5), gnu::cold]] void dcheck_failed(const char* file, int line,
                                                                      const char* condition,
                                                                      const char* format, ...);

}  // namespace midge

/// MIDGE_DCHECK(condition) or MIDGE_DCHECK(condition, "printf format", values...): aborts with the
/// condition and the message unless the condition holds. For mistakes of programmers alone: errors
/// of the world (files, memory, options) are values. Where checks are off nothing is evaluated, so
/// the condition must have no effect of its own.
#define MIDGE_DCHECK(condition, ...)   \
  ((!::midge::kDchecks || (condition)) \
       ? static_cast<void>(0)          \
       : ::midge::dcheck_failed(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__))
