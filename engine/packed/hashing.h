// XXH3, as a header alone: the one place that includes the library.
#pragma once

#include <cstdint>
#include <span>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/packed/packed_file.h"

namespace midge {

/// Hashes bytes that come in pieces.
class ContentHasher {
 public:
  ContentHasher() { XXH3_128bits_reset(&state_); }
  void add(std::span<const uint8_t> bytes) {
    XXH3_128bits_update(&state_, bytes.data(), bytes.size());
  }
  ContentHash hash() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return {hash.low64, hash.high64};
  }

 private:
  XXH3_state_t state_;
};

}  // namespace midge
