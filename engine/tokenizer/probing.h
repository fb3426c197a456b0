// What the two hash tables of a vocabulary share: a mixing function and a limit on probing, so that
// a file made to collide is refused instead of loading in quadratic time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace midge {

/// Longest chain that an insertion may meet. Random keys at the load factors used (at most 1/2)
/// stay below 100 for millions of entries.
inline constexpr size_t kProbesMax = 1024;

/// Slots for `count` keys: a power of two, at most half full.
inline size_t probing_slots(size_t count) {
  size_t slots = 16;
  while (slots < 2 * count) slots *= 2;
  return slots;
}

/// Finalizer of MurmurHash3 (public domain): every input bit changes every output bit.
inline uint64_t mix_bits(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

/// FNV-1a over bytes, then mixed.
inline uint64_t hash_bytes(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char byte : bytes) {
    hash ^= static_cast<uint8_t>(byte);
    hash *= 0x100000001b3ULL;
  }
  return mix_bits(hash);
}

}  // namespace midge
