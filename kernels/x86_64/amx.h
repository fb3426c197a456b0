// The instructions of AMX as functions; template arguments are numbers of tile registers. Written
// as asm, because g++ 12's _tile_loadd does not say that it reads memory: stores of what it loads
// may be moved behind it. All of it is `static inline`: see kernels/x86_64/avx512.h.
#pragma once

#include <cstdint>

namespace midge::amx {

/// The operand of ldtilecfg: the shapes of the tiles.
struct TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};  ///< 64 at most; of tiles 0..7, then zeros
  uint8_t rows[16] = {};        ///< 16 at most; likewise
};
static_assert(sizeof(TileConfig) == 64);

/// All tiles become zero.
static inline void configure(const TileConfig& config) {
  asm volatile("ldtilecfg %0" : : "m"(config));
}

/// Ends the use of tiles: nothing is left for the system to save.
static inline void release() { asm volatile("tilerelease" : : : "memory"); }

template <int kTile>
static inline void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

/// Rows of the tile from memory, `stride` bytes apart.
template <int kTile>
static inline void load(const void* rows, int64_t stride) {
  asm volatile("tileloadd (%0,%1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
static inline void store(void* rows, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1)" : : "r"(rows), "r"(stride), "i"(kTile) : "memory");
}

/// sums[i][j] += sum over g and b < 4 of lhs[i][4g + b] * rhs[g][4j + b], int8 to int32.
template <int kSums, int kLhs, int kRhs>
static inline void multiply() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kLhs), "i"(kRhs));
}

}  // namespace midge::amx
