// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ6B16S256 (kernels/packed.h), 6720 B per 32 rows
// x 256 columns.
//
// The dot products take q = 0..63; with s and t the scales of the two sixteens of columns of a
// block and A and B the sums of their activations, 32 * (s * A + t * B) is subtracted: one vpmaddwd
// of the pairs (s, t) and (A, B). Registers: 2 m dots and 2 m integers (int32), 2 m f32 sums of the
// unit, 4 weights, 1 broadcast; from m = 5 on the compiler keeps sums on the stack. Per block of 32
// columns: 13 lines, 16 m vpdpbusd = 1024 m multiply-adds; bound by memory up to m = 4. Rounding:
// that of kernels/generic/gemv/gemv_f32_q8b32_s256.h; integers are exact.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"
#include "kernels/x86_64/units_s256_avx512.h"

namespace midge {
namespace {

using avx512::lhs_block;
using avx512::TileSums;
using avx512::Weights;

// The sums of values 0..15 (lower 16 bits) and 16..31 of 8 blocks.
void sixteen_sums(const LhsBlock* blocks, int32_t sums[8]) {
  const __m256i ones = _mm256_set1_epi8(1);
  for (int b = 0; b < 8; b += 4) {
    __m256i fours[4];  // sums of 4 values, those of the first sixteen in the lower half
    for (int i = 0; i < 4; ++i) {
      const auto* values = reinterpret_cast<const __m256i*>(blocks[b + i].values);
      fours[i] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, _mm256_loadu_si256(values));
    }
    const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(fours[0], fours[1]),
                                          _mm256_hadd_epi32(fours[2], fours[3]));
    const __m128i first = _mm256_castsi256_si128(all);
    const __m128i second = _mm256_extracti128_si256(all, 1);
    const __m128i pairs = _mm_blend_epi16(first, _mm_slli_epi32(second, 16), 0xAA);
    _mm_store_si128(reinterpret_cast<__m128i*>(sums + b), pairs);
  }
}

// (s, t) of 16 rows as int16 pairs.
__m512i pairs_of(__m512i first, __m512i second) {
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, first, _mm512_slli_epi32(second, 16));
}

template <int kRows>
__attribute__((always_inline)) inline void add_sixteen(const UnitQ6B16S256::Columns8* eights,
                                                       const int8_t* const* values,
                                                       __m512i* dots_low, __m512i* dots_high) {
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) dots_low[i] = dots_high[i] = _mm512_setzero_si512();
#pragma GCC unroll 2
  for (int p = 0; p < 2; ++p) {
    Weights lines[2];
    avx512::load_weights(eights[p], lines);
#pragma GCC unroll 2
    for (int g = 0; g < 2; ++g) {
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const __m512i four = avx512::broadcast_group(values[i] + 8 * p + 4 * g);
        dots_low[i] = _mm512_dpbusd_epi32(dots_low[i], lines[g].low, four);
        dots_high[i] = _mm512_dpbusd_epi32(dots_high[i], lines[g].high, four);
      }
    }
  }
}

template <int kRows>
__attribute__((always_inline)) inline void add_unit(const UnitQ6B16S256& unit, int64_t first,
                                                    TileSums<kRows>& sums) {
  x86::request_lines(&unit, unit.columns8);
  x86::request_ahead_from<kRows>(&unit, unit.columns8);
  alignas(16) int32_t activations[kRows][8];
  __m512 low[kRows];
  __m512 high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sixteen_sums(&lhs_block(sums.lhs[i], first), activations[i]);
    low[i] = high[i] = _mm512_setzero_ps();
  }
  for (int b = 0; b < 8; ++b) {
    x86::request_ahead_from<kRows>(unit.columns8 + b, unit.columns8 + b + 1);
    const __m512i first_low = avx512::load_i8(unit.sub_scales[2 * b]);
    const __m512i first_high = avx512::load_i8(unit.sub_scales[2 * b] + 16);
    const __m512i second_low = avx512::load_i8(unit.sub_scales[2 * b + 1]);
    const __m512i second_high = avx512::load_i8(unit.sub_scales[2 * b + 1] + 16);
    const __m512i pairs_low = pairs_of(first_low, second_low);
    const __m512i pairs_high = pairs_of(first_high, second_high);
    const int8_t* values[kRows];
    __m512i dots_low[kRows];
    __m512i dots_high[kRows];
    __m512i integers_low[kRows];
    __m512i integers_high[kRows];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) values[i] = lhs_block(sums.lhs[i], first + b).values;
    add_sixteen<kRows>(unit.columns8[b], values, dots_low, dots_high);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const __m512i sum = _mm512_set1_epi32(activations[i][b]);
      integers_low[i] = _mm512_sub_epi32(_mm512_mullo_epi32(dots_low[i], first_low),
                                         _mm512_slli_epi32(_mm512_madd_epi16(pairs_low, sum), 5));
      integers_high[i] = _mm512_sub_epi32(_mm512_mullo_epi32(dots_high[i], first_high),
                                          _mm512_slli_epi32(_mm512_madd_epi16(pairs_high, sum), 5));
      values[i] += 16;
    }
    add_sixteen<kRows>(unit.columns8[b] + 2, values, dots_low, dots_high);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const __m512 scale = _mm512_set1_ps(lhs_block(sums.lhs[i], first + b).scale);
      integers_low[i] =
          _mm512_add_epi32(integers_low[i], _mm512_mullo_epi32(dots_low[i], second_low));
      integers_high[i] =
          _mm512_add_epi32(integers_high[i], _mm512_mullo_epi32(dots_high[i], second_high));
      low[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers_low[i]), scale, low[i]);
      high[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers_high[i]), scale, high[i]);
    }
  }
  const avx512::RowPair scales = avx512::load_f16(unit.scales);
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sums.low[i] = _mm512_fmadd_ps(scales.low, low[i], sums.low[i]);
    sums.high[i] = _mm512_fmadd_ps(scales.high, high[i], sums.high[i]);
  }
}

}  // namespace

extern "C" void gemv_f32_q8b32_q6b16s256_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<TileSums, UnitQ6B16S256, 256>(
      args, [](const UnitQ6B16S256& unit, int64_t u, auto& sums) { add_unit(unit, 8 * u, sums); });
}

}  // namespace midge
