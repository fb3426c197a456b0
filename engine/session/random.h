// The counter-based random numbers of sampling.
#pragma once

#include <array>
#include <cstdint>

namespace midge {

/// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011): a keyed bijection of 128-bit counters. No state: the numbers of a token depend on
/// seed and position only, so a sequence can be resumed, branched or replayed anywhere.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// The number that draws the token at `position`, uniform in [0, 1), a multiple of 2^-32. sample:
/// which of several answers to one prompt.
/// Counter: position (low word, high word), sample, 0; key: seed (low word, high word); the first
/// of the four words is taken. This definition is fixed: the same seed gives the same tokens in
/// every version of midge that computes the same logits.
double uniform_at(uint64_t seed, uint64_t position, uint32_t sample = 0);

}  // namespace midge
