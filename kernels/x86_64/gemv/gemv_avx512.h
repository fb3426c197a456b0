// What the AVX-512 decode kernels share: rows of activations, 4-bit blocks.
#pragma once

#include "kernels/x86_64/avx512.h"
#include "kernels/x86_64/gemv/gemv_units.h"

namespace midge::avx512 {

using x86::lhs_block;

/// The sums of kRows tokens with the 32 rows of a tile, and where the tokens' activations are.
template <int kRows>
struct TileSums {
  __m512 low[kRows];
  __m512 high[kRows];
  const char* lhs[kRows];
};

template <int kRows>
static inline void clear_sums(const GemvArgs* args, TileSums<kRows>& sums) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sums.low[i] = sums.high[i] = _mm512_setzero_ps();
    sums.lhs[i] = static_cast<const char*>(args->lhs) + i * args->lhs_stride;
  }
}

template <int kRows>
static inline void store_sums(const GemvArgs* args, int64_t feature, const TileSums<kRows>& sums) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) store_sums(args, i, feature, sums.low[i], sums.high[i]);
}

/// Block b of every token with 32 columns of nibbles.
///
/// Per line of 4 columns: low = line & 0x0F is q of rows 0..15, high = (line & 0xF0) ^ 0x80 is 16 *
/// q of rows 16..31 (one vpternlog); each goes through one vpdpbusd with 4 broadcast activations
/// per token. The accumulators start at the correction, the high one at 16 times it, so that they
/// end with the sums of q - 8; the factor 16 goes by an arithmetic shift, exactly.
template <int kRows>
__attribute__((always_inline)) static inline void add_nibbles(const uint8_t (*lines)[64], int64_t b,
                                                              const RowPair& scales,
                                                              TileSums<kRows>& sums) {
  const __m512i low_nibbles = _mm512_set1_epi8(0x0F);
  const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i low[kRows];
  __m512i high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    low[i] = _mm512_set1_epi32(lhs_block(sums.lhs[i], b).correction);
    high[i] = _mm512_slli_epi32(low[i], 4);
  }
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const __m512i line = load_stream(lines[g]);
    const __m512i weights_low = _mm512_and_si512(line, low_nibbles);
    // (line & ~0x0F) ^ 0x80
    const __m512i weights_high = _mm512_ternarylogic_epi32(line, low_nibbles, sign_bits, 0x9A);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const LhsBlock& block = lhs_block(sums.lhs[i], b);
      const __m512i values = broadcast_group(block.values + 4 * g);
      low[i] = _mm512_dpbusd_epi32(low[i], weights_low, values);
      high[i] = _mm512_dpbusd_epi32(high[i], weights_high, values);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const __m512 scale = _mm512_set1_ps(lhs_block(sums.lhs[i], b).scale);
    sums.low[i] = add_block(sums.low[i], low[i], scales.low, scale);
    sums.high[i] = add_block(sums.high[i], _mm512_srai_epi32(high[i], 4), scales.high, scale);
  }
}

}  // namespace midge::avx512
