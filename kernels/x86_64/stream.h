// How the x86 kernels read weights.
#pragma once

#include <cstdint>

namespace midge::x86 {

/// How far the decode kernels prefetch, into the first cache level: past the end of a tile lies the
/// next one. On Zen 4 with 2 threads the AVX-512 kernels then read 1.07 times as fast as a plain
/// summing loop; 2 KB and 8 KB are 1-5 % slower, prefetcht1 at any distance a quarter slower
/// (docs/tuning-log.md).
inline constexpr int64_t kPrefetchBytes = 0;

/// The prefetch that goes with the use of a line of a weight stream. `asm volatile`, because g++ 12
/// otherwise gathers the prefetches of an unrolled loop at its head.
static inline void prefetch_stream(const void* line) {
  if (kPrefetchBytes > 0) asm volatile("prefetcht0 %c1(%0)" : : "r"(line), "i"(kPrefetchBytes));
}

}  // namespace midge::x86
