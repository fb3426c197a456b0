// What the AVX2 decode kernels share: sums and rows of activations, 4-bit blocks.
#pragma once

#include "kernels/x86_64/avx2.h"
#include "kernels/x86_64/gemv/gemv_units.h"

namespace midge::avx2 {

using x86::lhs_block;

/// Tokens whose integer sums fit the registers together; more take a block's weights again.
inline constexpr int kGroup = 4;

/// Half a block's weights as the first kGroup tokens have unpacked them, for those behind. A load
/// is free beside the arithmetic; unpacking takes a ninth of it.
class KeptLines {
 public:
  void keep(int line, __m256i low, __m256i high) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(lines_[line][0]), low);
    _mm256_store_si256(reinterpret_cast<__m256i*>(lines_[line][1]), high);
  }
  __m256i low(int line) const { return load_stream(lines_[line][0]); }
  __m256i high(int line) const { return load_stream(lines_[line][1]); }

 private:
  alignas(32) char lines_[8][2][32];
};

/// The sums of kRows tokens with the 32 rows of a tile (rows 8j..8j+7 in registers[j]), and where
/// the tokens' activations are. From 2 tokens on the compilers keep the sums on the stack.
template <int kRows>
struct TileSums {
  __m256 registers[kRows][4];
  const char* lhs[kRows];
};

template <int kRows>
static inline void clear_sums(const GemvArgs* args, TileSums<kRows>& sums) {
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < 4; ++j) sums.registers[i][j] = _mm256_setzero_ps();
    sums.lhs[i] = static_cast<const char*>(args->lhs) + i * args->lhs_stride;
  }
}

/// out[.., feature..feature + 31] = sums (+ addend), as far as there are features.
template <int kRows>
static inline void store_sums(const GemvArgs* args, int64_t feature, const TileSums<kRows>& sums) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const int64_t left = args->n - feature < kTileRows ? args->n - feature : kTileRows;
  for (int i = 0; i < kRows; ++i) {
    float* out =
        reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + i * args->out_stride) +
        feature;
    const float* addend = nullptr;
    if (args->addend != nullptr) {
      addend = reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->addend) +
                                              i * args->addend_stride) +
               feature;
    }
    for (int j = 0; 8 * j < left; ++j) {
      const __m256i valid =
          _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(left - 8 * j)), lanes);
      __m256 sum = sums.registers[i][j];
      if (addend != nullptr) {
        sum = _mm256_add_ps(sum, _mm256_maskload_ps(addend + 8 * j, valid));
      }
      _mm256_maskstore_ps(out + 8 * j, valid, sum);
    }
  }
}

/// Adds the products of 4 columns of weights q and one token, pairs of columns in 16 bits.
static inline void add_pairs_of_products(__m256i weights_low, __m256i weights_high,
                                         const int8_t* activations, __m256i& low, __m256i& high) {
  const __m256i values = broadcast_group(activations);
  low = _mm256_add_epi16(low, _mm256_maddubs_epi16(weights_low, values));
  high = _mm256_add_epi16(high, _mm256_maddubs_epi16(weights_high, values));
  settle(low, high);
}

/// Block b of every token with 32 columns of nibbles. scales: of rows 8j..8j+7.
///
/// Half a line has 4 columns of 8 rows in its low nibbles and of 8 rows in its high ones. maddubs
/// takes q = 0..15 unsigned, and 8 lines of pairs, at most 8 * 2 * 15 * 127, fit 16 bits; one madd
/// per block widens them, and the correction turns q into q - 8.
template <int kRows>
__attribute__((always_inline)) static inline void add_nibbles(const uint8_t (*lines)[64], int64_t b,
                                                              const __m256 (&scales)[4],
                                                              TileSums<kRows>& sums) {
  const __m256i low_nibbles = _mm256_set1_epi8(0x0F);
  const __m256i sign_bits = _mm256_set1_epi8(0x08);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    KeptLines kept;
#pragma GCC unroll 2
    for (int first = 0; first < kRows; first += kGroup) {
      const int count = kRows - first < kGroup ? kRows - first : kGroup;
      __m256i low[kGroup];
      __m256i high[kGroup];
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) low[i] = high[i] = _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        __m256i weights_low;
        __m256i weights_high;
        if (first == 0) {
          const __m256i line = load_stream(lines[g] + 32 * half);
          weights_low = _mm256_and_si256(line, low_nibbles);
          const __m256i shifted = _mm256_and_si256(_mm256_srli_epi16(line, 4), low_nibbles);
          weights_high = _mm256_xor_si256(shifted, sign_bits);
          if (kRows > kGroup) kept.keep(g, weights_low, weights_high);
        } else {
          weights_low = kept.low(g);
          weights_high = kept.high(g);
        }
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          const LhsBlock& block = lhs_block(sums.lhs[first + i], b);
          add_pairs_of_products(weights_low, weights_high, block.values + 4 * g, low[i], high[i]);
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const LhsBlock& block = lhs_block(sums.lhs[first + i], b);
        const __m256i correction = _mm256_set1_epi32(block.correction);
        const __m256 scale = _mm256_set1_ps(block.scale);
        __m256(&sum)[4] = sums.registers[first + i];
        sum[half] = add_block(sum[half], _mm256_add_epi32(add_pairs(low[i]), correction),
                              scales[half], scale);
        sum[2 + half] = add_block(sum[2 + half], _mm256_add_epi32(add_pairs(high[i]), correction),
                                  scales[2 + half], scale);
      }
    }
  }
}

}  // namespace midge::avx2
