// How the AVX-512 kernels read the units of q4b32ms256, q5b32ms256 and q6b16s256
// (kernels/packed.h).
#pragma once

#include "kernels/x86_64/avx512.h"

namespace midge::avx512 {

/// q (0..63 at most) of 4 columns: rows 0..15 and rows 16..31 of a tile.
struct Weights {
  __m512i low;
  __m512i high;
};

static inline Weights plain_nibbles(__m512i line) {
  const __m512i mask = _mm512_set1_epi8(0x0F);
  return {_mm512_and_si512(line, mask), _mm512_and_si512(_mm512_srli_epi16(line, 4), mask)};
}

/// Line g of a block.
static inline Weights load_weights(const UnitQ4B32MS256::Block& block, int g) {
  const __m512i mask = _mm512_set1_epi8(0x0F);
  const __m512i line = load_stream(block.nibbles[g]);
  // (line >> 4 & 0x0F) ^ 8
  return {_mm512_and_si512(line, mask),
          _mm512_ternarylogic_epi32(_mm512_srli_epi16(line, 4), mask, _mm512_set1_epi8(8), 0x6A)};
}

/// 16 is added where the inverted fifth bit is 0.
static inline Weights load_weights(const UnitQ5B32MS256::Block& block, int g) {
  const Weights nibbles = plain_nibbles(load_stream(block.nibbles[g]));
  const __m512i bit = _mm512_set1_epi8(static_cast<char>(1 << g));
  const __m512i sixteen = _mm512_set1_epi8(16);
  const __mmask64 low = _mm512_testn_epi8_mask(_mm512_load_si512(block.high_bits[0]), bit);
  const __mmask64 high = _mm512_testn_epi8_mask(_mm512_load_si512(block.high_bits[1]), bit);
  return {_mm512_mask_add_epi8(nibbles.low, low, nibbles.low, sixteen),
          _mm512_mask_add_epi8(nibbles.high, high, nibbles.high, sixteen)};
}

/// Both nibble lines of 8 columns.
static inline void load_weights(const UnitQ6B16S256::Columns8& eight, Weights lines[2]) {
  const __m512i places = _mm512_set1_epi8(0x30);
  // The upper of the two bits is stored inverted.
  const __m512i bits =
      _mm512_xor_si512(load_stream(eight.high_bits), _mm512_set1_epi8(static_cast<char>(0xAA)));
  const Weights first = plain_nibbles(load_stream(eight.nibbles[0]));
  const Weights second = plain_nibbles(load_stream(eight.nibbles[1]));
  // nibble | (bits & places)
  lines[0].low = _mm512_ternarylogic_epi32(first.low, _mm512_slli_epi16(bits, 4), places, 0xF8);
  lines[0].high = _mm512_ternarylogic_epi32(first.high, _mm512_slli_epi16(bits, 2), places, 0xF8);
  lines[1].low = _mm512_ternarylogic_epi32(second.low, bits, places, 0xF8);
  lines[1].high = _mm512_ternarylogic_epi32(second.high, _mm512_srli_epi16(bits, 2), places, 0xF8);
}

/// 16 integer scales of a block of columns, as int32.
static inline __m512i load_u8(const uint8_t* values) {
  return _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(values)));
}
static inline __m512i load_i8(const int8_t* values) {
  return _mm512_cvtepi8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(values)));
}

/// The 6-bit scales and minimums of a unit as bytes, [half of the tile's rows][block][row].
struct SubScales {
  alignas(64) uint8_t scales[2][8][16];
  alignas(64) uint8_t minimums[2][8][16];
};
static inline void read_sub_scales(const uint8_t (*packed)[8][16], SubScales* out) {
  const __m512i six_bits = _mm512_set1_epi8(63);
  for (int b = 0; b < 8; b += 4) {
    const __m512i first = load_stream(packed[0][b]);
    const __m512i second = load_stream(packed[1][b]);
    const __m512i third = load_stream(packed[2][b]);
    _mm512_store_si512(out->scales[0][b], _mm512_and_si512(first, six_bits));
    _mm512_store_si512(out->scales[1][b], _mm512_and_si512(second, six_bits));
    _mm512_store_si512(out->minimums[0][b], _mm512_and_si512(third, six_bits));
    // The upper two bits of each: (first >> 6 & 3) | (second >> 4 & 12) | (third >> 2 & 48)
    const __m512i lowest = _mm512_and_si512(_mm512_srli_epi16(first, 6), _mm512_set1_epi8(3));
    const __m512i middle =
        _mm512_ternarylogic_epi32(lowest, _mm512_srli_epi16(second, 4), _mm512_set1_epi8(12), 0xF8);
    _mm512_store_si512(
        out->minimums[1][b],
        _mm512_ternarylogic_epi32(middle, _mm512_srli_epi16(third, 2), _mm512_set1_epi8(48), 0xF8));
  }
}

}  // namespace midge::avx512
