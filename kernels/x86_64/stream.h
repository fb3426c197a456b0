// How the x86 kernels read weights.
#pragma once

#include <cstdint>

namespace midge::x86 {

/// Rows of activations from which kernels ask for weights ahead, and how far.
inline constexpr int kAheadRows = 4;
inline constexpr int64_t kAheadBytes = 8192;

/// Asks for what lies kAheadBytes behind the lines from `first` up to `end` of a weight stream,
/// into the second cache level, if the kernel takes kRowsMin rows. With so many a core computes
/// about as long as memory takes, and the hardware's own prefetching does not get far enough ahead;
/// with fewer it does better alone on Zen 4 (docs/tuning-log.md), while an Intel server core was
/// measured to need 2048..8192 bytes for one row, too. A few lines at a time: more wait for each
/// other. Head comments of kernels count without them: one per line of weights.
template <int kRows, int kRowsMin = kAheadRows>
static inline void request_ahead(const void* first, const void* end) {
  if constexpr (kRows >= kRowsMin) {
    for (const char* line = static_cast<const char*>(first); line < end; line += 64) {
      asm volatile("prefetcht1 %c1(%0)" : : "r"(line), "i"(kAheadBytes));
    }
  }
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
