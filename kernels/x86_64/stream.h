// How the x86 kernels read weights.
#pragma once

#include <cstdint>

namespace midge::x86 {

/// How far ahead kernels ask for weights.
inline constexpr int64_t kAheadBytes = 8192;

/// Asks for what lies kAheadBytes behind the lines from `first` up to `end` of a weight stream,
/// into the second cache level. A few lines at a time: more wait for each other. Head comments of
/// kernels count without them: one per line of weights.
static inline void request_ahead(const void* first, const void* end) {
  for (const char* line = static_cast<const char*>(first); line < end; line += 64) {
    asm volatile("prefetcht1 %c1(%0)" : : "r"(line), "i"(kAheadBytes));
  }
}

/// The same if a kernel takes kRowsMin rows of activations: where a core computes about as long as
/// memory takes, the hardware's own prefetching does not get far enough ahead. With fewer rows it
/// does better alone on Zen 4, which the AVX-512 kernels were measured on. AVX2 kernels ask always:
/// on Zen 3 they read up to 1.8 times as fast, with one row as well (docs/tuning-log.md).
template <int kRows, int kRowsMin = 4>
static inline void request_ahead_from(const void* first, const void* end) {
  if constexpr (kRows >= kRowsMin) request_ahead(first, end);
}

/// Asks for the lines from `first` up to `end`, in order. For the head of a unit, parts of which
/// are read later between its other lines: a line that is jumped over in the stream and read on the
/// way costs the hardware prefetchers their thread (docs/tuning-log.md).
static inline void request_lines(const void* first, const void* end) {
  for (const char* line = static_cast<const char*>(first); line < end; line += 64) {
    asm volatile("prefetcht0 (%0)" : : "r"(line));
  }
}

}  // namespace midge::x86
