// A hash that shows damage of a file, not malice.
#pragma once

#include <cstdint>
#include <string_view>

namespace midge {

/// FNV-1a, 64 bits (Fowler, Noll, Vo). The same on every machine.
inline uint64_t fnv1a(std::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001B3;
  return hash;
}

}  // namespace midge
