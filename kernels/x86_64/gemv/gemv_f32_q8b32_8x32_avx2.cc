// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32M, UnitQ5B32, UnitQ5B32M (kernels/packed.h):
// 640, 704, 768 B per 32 rows x 32 columns. kernels/generic/gemv/gemv_f32_q8b32.h is the
// specification.
//
// q4b32m has the products of q4b32 (avx2::add_nibbles). Those of 5 bits: maddubs takes q = 0..31
// unsigned, made as for q5b32ms256; 4 lines of pairs, at most 4 * 2 * 31 * 127, fit 16 bits, and
// twice the correction turns q into q - 16. Minimums cost one multiply-add per sum and unit.
// Per unit: 1024 m multiply-adds; m = 1 is bound by memory, more by instructions.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add per block,
// one more with minimums.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"
#include "kernels/x86_64/units_s256_avx2.h"

namespace midge {
namespace {

using avx2::TileSums;

// Rows 8j..8j+7.
using Scales = __m256[4];

inline void load_scales(const uint16_t* from, Scales& scales) {
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) scales[j] = avx2::load_f16(from + 8 * j);
}

// Block b of every token with 32 columns of 5 bits.
template <int kRows>
__attribute__((always_inline)) inline void add_fifths(const UnitQ5B32MS256::Block& block, int64_t b,
                                                      const Scales& scales, TileSums<kRows>& sums) {
  constexpr int kLines = 4;
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 2
    for (int first = 0; first < kRows; first += avx2::kGroup) {
      const int count = kRows - first < avx2::kGroup ? kRows - first : avx2::kGroup;
      __m256i integers_low[avx2::kGroup];
      __m256i integers_high[avx2::kGroup];
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const int32_t correction = avx2::lhs_block(sums.lhs[first + i], b).correction;
        integers_low[i] = integers_high[i] = _mm256_set1_epi32(2 * correction);
      }
#pragma GCC unroll 2
      for (int line = 0; line < 8; line += kLines) {
        __m256i low[avx2::kGroup];
        __m256i high[avx2::kGroup];
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) low[i] = high[i] = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (int g = line; g < line + kLines; ++g) {
          const avx2::Weights weights = avx2::load_weights(block, g, half);
          // g++ 12 keeps the struct in memory.
          const __m256i weights_low = weights.low;
          const __m256i weights_high = weights.high;
#pragma GCC unroll 4
          for (int i = 0; i < count; ++i) {
            const int8_t* values = avx2::lhs_block(sums.lhs[first + i], b).values + 4 * g;
            avx2::add_pairs_of_products(weights_low, weights_high, values, low[i], high[i]);
          }
        }
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          integers_low[i] = _mm256_add_epi32(integers_low[i], avx2::add_pairs(low[i]));
          integers_high[i] = _mm256_add_epi32(integers_high[i], avx2::add_pairs(high[i]));
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const __m256 scale = _mm256_set1_ps(avx2::lhs_block(sums.lhs[first + i], b).scale);
        __m256(&sum)[4] = sums.registers[first + i];
        sum[half] = avx2::add_block(sum[half], integers_low[i], scales[half], scale);
        sum[2 + half] = avx2::add_block(sum[2 + half], integers_high[i], scales[2 + half], scale);
      }
    }
  }
}

// The term of the minimums of block b; weights are kWeightMin and more.
template <int kWeightMin, int kRows>
__attribute__((always_inline)) inline void add_minimums(const uint16_t* minimums, int64_t b,
                                                        const Scales& scales,
                                                        TileSums<kRows>& sums) {
  const __m256 eighth = _mm256_set1_ps(-0.125f);
  const __m256 steps = _mm256_set1_ps(kWeightMin / 8);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m256 middles =
        _mm256_fmadd_ps(avx2::load_f16(minimums + 8 * j), eighth, _mm256_mul_ps(scales[j], steps));
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const LhsBlock& block = avx2::lhs_block(sums.lhs[i], b);
      const __m256 activations = _mm256_set1_ps(block.scale * static_cast<float>(block.correction));
      __m256& sum = sums.registers[i][j];
      sum = _mm256_fmadd_ps(middles, activations, sum);
    }
  }
}

}  // namespace

extern "C" void gemv_f32_q8b32_q4b32m_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ4B32M, 32>(
      args, []<int kRows>(const UnitQ4B32M& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead(&unit, &unit + 1);
        Scales scales;
        load_scales(unit.scales, scales);
        avx2::add_nibbles(unit.block.nibbles, b, scales, sums);
        add_minimums<-8>(unit.minimums, b, scales, sums);
      });
}

extern "C" void gemv_f32_q8b32_q5b32_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ5B32, 32>(
      args, []<int kRows>(const UnitQ5B32& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead(&unit, &unit + 1);
        Scales scales;
        load_scales(unit.scales, scales);
        add_fifths(unit.block, b, scales, sums);
      });
}

extern "C" void gemv_f32_q8b32_q5b32m_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ5B32M, 32>(
      args, []<int kRows>(const UnitQ5B32M& unit, int64_t b, TileSums<kRows>& sums) {
        x86::request_ahead(&unit, &unit + 1);
        Scales scales;
        load_scales(unit.scales, scales);
        add_fifths(unit.block, b, scales, sums);
        add_minimums<-16>(unit.minimums, b, scales, sums);
      });
}

}  // namespace midge
