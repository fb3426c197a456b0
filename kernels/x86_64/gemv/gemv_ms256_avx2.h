// The AVX2 decode kernels of q4b32ms256 and q5b32ms256.
#pragma once

#include <cstddef>

#include "kernels/x86_64/gemv/gemv_s256_avx2.h"

namespace midge::avx2 {

/// scale * correction of 4 blocks.
static inline __m128 scaled_corrections(const LhsBlock* blocks) {
  const auto load = [](const LhsBlock& block) {
    static_assert(offsetof(LhsBlock, correction) == offsetof(LhsBlock, scale) + 4);
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&block.scale));
  };
  const __m128i first = _mm_unpacklo_epi32(load(blocks[0]), load(blocks[1]));
  const __m128i second = _mm_unpacklo_epi32(load(blocks[2]), load(blocks[3]));
  return _mm_mul_ps(_mm_castsi128_ps(_mm_unpacklo_epi64(first, second)),
                    _mm_cvtepi32_ps(_mm_unpackhi_epi64(first, second)));
}

/// The term of the minimums of a unit that meets blocks first..first + 7.
template <int kRows>
__attribute__((always_inline)) static inline void add_minimums(const uint16_t* minimums,
                                                               const SubScales& sub_scales,
                                                               int64_t first,
                                                               TileSums<kRows>& sums) {
  // Rows 8j..8j+7 whose sums fit the registers together.
  constexpr int kTogether = kRows <= 2 ? 4 : kRows <= 4 ? 2 : 1;
  alignas(16) float activations[kRows][8];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const LhsBlock* blocks = &lhs_block(sums.lhs[i], first);
    _mm_store_ps(activations[i], scaled_corrections(blocks));
    _mm_store_ps(activations[i] + 4, scaled_corrections(blocks + 4));
  }
  const __m256 eighth = _mm256_set1_ps(0.125f);
  for (int from = 0; from < 4; from += kTogether) {
    __m256 totals[kRows][kTogether];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kTogether; ++j) totals[i][j] = _mm256_setzero_ps();
    }
    for (int b = 0; b < 8; ++b) {
#pragma GCC unroll 4
      for (int j = 0; j < kTogether; ++j) {
        const __m256 factors = integers_8(sub_scales.minimums[b] + 8 * (from + j));
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          totals[i][j] = _mm256_fmadd_ps(factors, _mm256_set1_ps(activations[i][b]), totals[i][j]);
        }
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < kTogether; ++j) {
      const __m256 scales = _mm256_mul_ps(load_f16(minimums + 8 * (from + j)), eighth);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        __m256& sum = sums.registers[i][from + j];
        sum = _mm256_fmadd_ps(scales, totals[i][j], sum);
      }
    }
  }
}

/// The products of block b of a unit with blocks `first + b` of activations.
template <int kRows, int kWeightMax, typename Unit>
__attribute__((always_inline)) static inline void add_block(const Unit& unit, int b,
                                                            const int8_t* factors, int64_t first,
                                                            const TileSums<kRows>& sums,
                                                            UnitSums<kRows>& products) {
  // 8 or 4 lines of pairs of products fit 16 bits.
  constexpr int kLines = 32767 / (2 * 127 * kWeightMax);
  x86::request_ahead(unit.blocks + b, unit.blocks + b + 1);
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    KeptLines kept;
    const __m256i factors_low = pair_factors(factors + 8 * half);
    const __m256i factors_high = pair_factors(factors + 16 + 8 * half);
#pragma GCC unroll 2
    for (int from = 0; from < kRows; from += kGroup) {
      const int count = kRows - from < kGroup ? kRows - from : kGroup;
      __m256i integers_low[kGroup];
      __m256i integers_high[kGroup];
#pragma GCC unroll 2
      for (int line = 0; line < 8; line += kLines) {
        __m256i low[kGroup];
        __m256i high[kGroup];
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) low[i] = high[i] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int g = line; g < line + kLines; ++g) {
          __m256i weights_low;
          __m256i weights_high;
          if (from == 0) {
            const Weights weights = load_weights(unit.blocks[b], g, half);
            // g++ 12 keeps the struct in memory.
            weights_low = weights.low;
            weights_high = weights.high;
            if (kRows > kGroup) kept.keep(g, weights_low, weights_high);
          } else {
            weights_low = kept.low(g);
            weights_high = kept.high(g);
          }
#pragma GCC unroll 4
          for (int i = 0; i < count; ++i) {
            const LhsBlock& block = lhs_block(sums.lhs[from + i], first + b);
            add_pairs_of_products(weights_low, weights_high, block.values + 4 * g, low[i], high[i]);
          }
        }
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          const __m256i more_low = _mm256_madd_epi16(low[i], factors_low);
          const __m256i more_high = _mm256_madd_epi16(high[i], factors_high);
          integers_low[i] = line == 0 ? more_low : _mm256_add_epi32(integers_low[i], more_low);
          integers_high[i] = line == 0 ? more_high : _mm256_add_epi32(integers_high[i], more_high);
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const __m256 scale = _mm256_set1_ps(lhs_block(sums.lhs[from + i], first + b).scale);
        __m256(&product)[4] = products[from + i];
        product[half] = add_integers(product[half], integers_low[i], scale);
        product[2 + half] = add_integers(product[2 + half], integers_high[i], scale);
      }
    }
  }
}

/// A unit that meets blocks first..first + 7; q = 0..kWeightMax.
template <int kRows, int kWeightMax, typename Unit>
__attribute__((always_inline)) static inline void add_unit(const Unit& unit, int64_t first,
                                                           TileSums<kRows>& sums) {
  x86::request_lines(&unit, unit.blocks);
  x86::request_ahead(&unit, unit.blocks);
  SubScales sub_scales;
  read_sub_scales(unit.sub_scales, &sub_scales);
  add_minimums(unit.minimums, sub_scales, first, sums);
  UnitSums<kRows> products;
  clear_unit_sums<kRows>(products);
  for (int b = 0; b < 8; ++b) {
    add_block<kRows, kWeightMax>(unit, b, sub_scales.scales[b], first, sums, products);
  }
  add_unit_sums<kRows>(unit.scales, products, sums);
}

template <int kWeightMax, typename Unit>
static inline void gemv_ms256(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, Unit, 256>(
      args, []<int kRows>(const Unit& unit, int64_t u, TileSums<kRows>& sums) {
        add_unit<kRows, kWeightMax>(unit, 8 * u, sums);
      });
}

}  // namespace midge::avx2
