// How the x86 kernels read weights.
#pragma once

#include <cstdint>

namespace midge::x86 {

/// How far the decode kernels prefetch into the first cache level; 0: they leave it to the
/// hardware. Zen 4 reads 2-5 % faster without, 1 and 2 threads alike (docs/tuning-log.md). An Intel
/// server core was measured to need it: 0.87 of a read loop without, 1.0 with 2048..8192.
inline constexpr int64_t kPrefetchBytes = 0;

/// The prefetch that goes with the use of a line of a weight stream. `asm volatile`, because g++ 12
/// otherwise gathers the prefetches of an unrolled loop at its head.
static inline void prefetch_stream(const void* line) {
  if constexpr (kPrefetchBytes > 0) {
    asm volatile("prefetcht0 %c1(%0)" : : "r"(line), "i"(kPrefetchBytes));
  } else {
    static_cast<void>(line);
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
