// Bytes that nobody may touch: AddressSanitizer reports a read or a write of them. Nothing in other
// builds.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define MIDGE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MIDGE_ASAN 1
#endif
#endif
#if defined(MIDGE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace midge {

#if defined(MIDGE_ASAN)
inline constexpr bool kPoisons = true;

/// From now on touching [start, start + bytes) ends the program with a report. The sanitizer knows
/// eight bytes as a unit of which a first part may be allowed: `start` may be any address, the end
/// must be a multiple of 8 or be followed by bytes that are forbidden too.
inline void poison(const void* start, int64_t bytes) {
  if (bytes > 0) __asan_poison_memory_region(start, static_cast<size_t>(bytes));
}

/// Allows [start, start + bytes) again, to the byte. `start`: a multiple of 8.
inline void unpoison(const void* start, int64_t bytes) {
  if (bytes > 0) __asan_unpoison_memory_region(start, static_cast<size_t>(bytes));
}
#else
inline constexpr bool kPoisons = false;
inline void poison(const void*, int64_t) {}
inline void unpoison(const void*, int64_t) {}
#endif

}  // namespace midge
