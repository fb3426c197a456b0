// What the AVX-512 kernels share. All of it is `static inline` or in the anonymous namespace: an
// object compiled for a level must not define a symbol that code for weaker CPUs could be linked
// to.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/kernel_types.h"

namespace midge::avx512 {

/// How far the decode kernels prefetch, into the second cache level: past the end of a tile lies
/// the next one. Any distance from 4 to 16 KB measured alike; none at all costs a tenth and more.
inline constexpr int64_t kPrefetchBytes = 8192;

/// 64 aligned bytes of a weight stream, and the prefetch of the line to come. As `asm volatile`,
/// because g++ 12 otherwise gathers the prefetches of an unrolled loop at its head and loads a
/// line once per use.
static inline __m512i load_stream(const void* line) {
  const auto* bytes = static_cast<const char*>(line);
  __m512i value;
  asm volatile("prefetcht1 %c1(%0)" : : "r"(bytes), "i"(kPrefetchBytes));
  asm volatile("vmovdqa64 %1, %0" : "=v"(value) : "m"(*static_cast<const char(*)[64]>(line)));
  return value;
}

/// 4 bytes of activations in every lane.
static inline __m512i broadcast_group(const int8_t* values) {
  int32_t group;
  std::memcpy(&group, values, sizeof(group));
  return _mm512_set1_epi32(group);
}

/// The lanes of two registers that are columns below `n`, for a tile that starts at `column`.
struct ColumnMasks {
  __mmask16 low;   ///< columns 0..15 of the tile
  __mmask16 high;  ///< columns 16..31
};
static inline ColumnMasks column_masks(int64_t n, int64_t column) {
  const int64_t left = n - column;
  const uint32_t mask = left >= kTileRows ? ~0u : (1u << left) - 1;
  return {static_cast<__mmask16>(mask & 0xFFFFu), static_cast<__mmask16>(mask >> 16)};
}

/// out[row, column..column + 31] = sums (+ addend), as far as there are columns.
static inline void store_sums(const GemvArgs* args, int64_t row, int64_t column, __m512 low,
                              __m512 high) {
  const ColumnMasks masks = column_masks(args->n, column);
  if (args->addend != nullptr) {
    const auto* addend =
        reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->addend) +
                                       row * args->addend_stride) +
        column;
    low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(masks.low, addend));
    high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(masks.high, addend + 16));
  }
  float* out =
      reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + row * args->out_stride) +
      column;
  _mm512_mask_storeu_ps(out, masks.low, low);
  _mm512_mask_storeu_ps(out + 16, masks.high, high);
}

}  // namespace midge::avx512
