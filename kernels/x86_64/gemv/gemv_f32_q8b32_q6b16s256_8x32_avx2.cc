// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ6B16S256 (kernels/packed.h), 6720 B per 32 rows
// x 256 columns.
//
// A weight is q = 0..63, which maddubs takes unsigned. The two 16-bit sums of a row and 16
// columns start from -32 times the sums of their activations and wrap: they end as those of q - 32,
// at most 8 * 32 * 127. One madd multiplies them by the sixteen's integer scale, adds the two and
// widens.
// Registers, per half of the rows: 2 int16 sums for each of up to 4 tokens, 4 weights, 1 broadcast,
// 1 product, 2 constants; the sums of the unit and of the tile are in registers for m = 1 only.
// Per block of 32 columns: 13 lines, 8 (21 + 10 m) + 60 m instructions for 1024 m multiply-adds;
// m = 1 is bound by memory, more by instructions.
// Rounding: that of kernels/generic/gemv/gemv_f32_q8b32_s256.h; integers are exact.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_s256_avx2.h"

namespace midge {
namespace {

using avx2::kGroup;
using avx2::lhs_block;
using avx2::TileSums;
using avx2::UnitSums;
using avx2::Weights;

// What the 16-bit sums of a sixteen start from to end with the products of q - 32: -32 times the
// sums of its activations 4g and 4g + 1 (lower 16 bits), 4g + 2 and 4g + 3.
struct SixteenStarts {
  int32_t sixteens[2];
};

SixteenStarts sixteen_starts(const LhsBlock& block) {
  const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.values));
  __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), values);
  pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0x4E));
  pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0xB1));
  pairs = _mm256_mullo_epi16(pairs, _mm256_set1_epi16(-32));
  return {{_mm256_cvtsi256_si32(pairs), _mm256_extract_epi32(pairs, 4)}};
}

// The products of block b of a unit with blocks `first + b` of activations.
template <int kRows>
__attribute__((always_inline)) inline void add_block(const UnitQ6B16S256& unit, int b,
                                                     int64_t first, const TileSums<kRows>& sums,
                                                     UnitSums<kRows>& products) {
  x86::request_ahead(unit.columns8 + b, unit.columns8 + b + 1);
  SixteenStarts starts[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) starts[i] = sixteen_starts(lhs_block(sums.lhs[i], first + b));
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 2
    for (int from = 0; from < kRows; from += kGroup) {
      const int count = kRows - from < kGroup ? kRows - from : kGroup;
      __m256i integers_low[kGroup];
      __m256i integers_high[kGroup];
#pragma GCC unroll 2
      for (int sixteen = 0; sixteen < 2; ++sixteen) {
        __m256i low[kGroup];
        __m256i high[kGroup];
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          low[i] = high[i] = _mm256_set1_epi32(starts[from + i].sixteens[sixteen]);
        }
#pragma GCC unroll 2
        for (int p = 0; p < 2; ++p) {
          Weights lines[2];
          avx2::load_weights(unit.columns8[b][2 * sixteen + p], half, lines);
          // g++ 12 keeps the structs in memory.
          const __m256i weights_low[2] = {lines[0].low, lines[1].low};
          const __m256i weights_high[2] = {lines[0].high, lines[1].high};
#pragma GCC unroll 2
          for (int g = 0; g < 2; ++g) {
#pragma GCC unroll 4
            for (int i = 0; i < count; ++i) {
              const LhsBlock& block = lhs_block(sums.lhs[from + i], first + b);
              avx2::add_pairs_of_products(weights_low[g], weights_high[g],
                                          block.values + 16 * sixteen + 8 * p + 4 * g, low[i],
                                          high[i]);
            }
          }
        }
        const int8_t* factors = unit.sub_scales[2 * b + sixteen] + 8 * half;
        const __m256i factors_low = avx2::pair_factors(factors);
        const __m256i factors_high = avx2::pair_factors(factors + 16);
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          const __m256i more_low = _mm256_madd_epi16(low[i], factors_low);
          const __m256i more_high = _mm256_madd_epi16(high[i], factors_high);
          integers_low[i] = sixteen == 0 ? more_low : _mm256_add_epi32(integers_low[i], more_low);
          integers_high[i] =
              sixteen == 0 ? more_high : _mm256_add_epi32(integers_high[i], more_high);
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const __m256 scale = _mm256_set1_ps(lhs_block(sums.lhs[from + i], first + b).scale);
        __m256(&product)[4] = products[from + i];
        product[half] = avx2::add_integers(product[half], integers_low[i], scale);
        product[2 + half] = avx2::add_integers(product[2 + half], integers_high[i], scale);
      }
    }
  }
}

template <int kRows>
__attribute__((always_inline)) inline void add_unit(const UnitQ6B16S256& unit, int64_t first,
                                                    TileSums<kRows>& sums) {
  x86::request_lines(&unit, unit.columns8);
  x86::request_ahead(&unit, unit.columns8);
  UnitSums<kRows> products;
  avx2::clear_unit_sums<kRows>(products);
  for (int b = 0; b < 8; ++b) add_block<kRows>(unit, b, first, sums, products);
  avx2::add_unit_sums<kRows>(unit.scales, products, sums);
}

}  // namespace

extern "C" void gemv_f32_q8b32_q6b16s256_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ6B16S256, 256>(
      args, [](const UnitQ6B16S256& unit, int64_t u, auto& sums) { add_unit(unit, 8 * u, sums); });
}

}  // namespace midge
