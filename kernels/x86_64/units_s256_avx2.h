// How the AVX2 kernels read the units of q4b32ms256, q5b32ms256 and q6b16s256 (kernels/packed.h).
#pragma once

#include "kernels/x86_64/avx2.h"

namespace midge::avx2 {

/// The 6-bit scales and minimums of a unit as bytes, [block][row].
struct SubScales {
  int8_t scales[8][kTileRows];
  int8_t minimums[8][kTileRows];
};
static inline void read_sub_scales(const uint8_t (*packed)[8][16], SubScales* out) {
  const __m256i six_bits = _mm256_set1_epi8(63);
  const auto store = [](int8_t(*to)[kTileRows], int row, __m256i two_blocks) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to[0] + row), _mm256_castsi256_si128(two_blocks));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to[1] + row),
                     _mm256_extracti128_si256(two_blocks, 1));
  };
  for (int b = 0; b < 8; b += 2) {
    const __m256i first = load_stream(packed[0][b]);
    const __m256i second = load_stream(packed[1][b]);
    const __m256i third = load_stream(packed[2][b]);
    store(out->scales + b, 0, _mm256_and_si256(first, six_bits));
    store(out->scales + b, 16, _mm256_and_si256(second, six_bits));
    store(out->minimums + b, 0, _mm256_and_si256(third, six_bits));
    const __m256i lowest = _mm256_and_si256(_mm256_srli_epi16(first, 6), _mm256_set1_epi8(3));
    const __m256i middle = _mm256_and_si256(_mm256_srli_epi16(second, 4), _mm256_set1_epi8(12));
    const __m256i highest = _mm256_and_si256(_mm256_srli_epi16(third, 2), _mm256_set1_epi8(48));
    store(out->minimums + b, 16, _mm256_or_si256(_mm256_or_si256(lowest, middle), highest));
  }
}

/// 8 integers as f32.
static inline __m256 integers_8(const int8_t* integers) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(integers));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/// q of 4 columns: of rows 8 * half.. and of those 16 further.
struct Weights {
  __m256i low;
  __m256i high;
};

static inline Weights load_nibbles(const uint8_t* line, int half) {
  const __m256i bytes = load_stream(line + 32 * half);
  const __m256i mask = _mm256_set1_epi8(0x0F);
  return {_mm256_and_si256(bytes, mask), _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask)};
}

/// Line g of a block.
static inline Weights load_weights(const UnitQ4B32MS256::Block& block, int g, int half) {
  const Weights nibbles = load_nibbles(block.nibbles[g], half);
  return {nibbles.low, _mm256_xor_si256(nibbles.high, _mm256_set1_epi8(8))};
}

/// 16 where the inverted bit g is 0.
static inline __m256i fifth_bits(const uint8_t* line, int g) {
  const __m256i bits = _mm256_load_si256(reinterpret_cast<const __m256i*>(line));
  const __m256i moved = g < 4 ? _mm256_slli_epi16(bits, 4 - g) : _mm256_srli_epi16(bits, g - 4);
  return _mm256_andnot_si256(moved, _mm256_set1_epi8(16));
}
static inline Weights load_weights(const UnitQ5B32MS256::Block& block, int g, int half) {
  const Weights nibbles = load_nibbles(block.nibbles[g], half);
  return {_mm256_or_si256(nibbles.low, fifth_bits(block.high_bits[0] + 32 * half, g)),
          _mm256_or_si256(nibbles.high, fifth_bits(block.high_bits[1] + 32 * half, g))};
}

/// Both nibble lines of 8 columns.
static inline void load_weights(const UnitQ6B16S256::Columns8& eight, int half, Weights lines[2]) {
  const __m256i places = _mm256_set1_epi8(0x30);
  // The upper of the two bits is stored inverted.
  const __m256i bits = _mm256_xor_si256(load_stream(eight.high_bits + 32 * half),
                                        _mm256_set1_epi8(static_cast<char>(0xAA)));
  const auto join = [&](__m256i nibbles, __m256i shifted) {
    return _mm256_or_si256(nibbles, _mm256_and_si256(shifted, places));
  };
  const Weights first = load_nibbles(eight.nibbles[0], half);
  const Weights second = load_nibbles(eight.nibbles[1], half);
  lines[0] = {join(first.low, _mm256_slli_epi16(bits, 4)),
              join(first.high, _mm256_slli_epi16(bits, 2))};
  lines[1] = {join(second.low, bits), join(second.high, _mm256_srli_epi16(bits, 2))};
}

}  // namespace midge::avx2
