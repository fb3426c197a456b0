// 32 rows x 256 columns of packed units as a panel [64 groups of 4 columns][32 rows][4] of value +
// kOffset: for avx512_vnni, whose vpdpbusd takes its first factor unsigned, and for amx, whose
// tdpbssd takes both signed. 16 groups of half the rows, 128 bytes apart, are a tile of the latter.
// The rounding is that of kernels/generic/panel/panel.h.
#pragma once

#include "kernels/generic/panel/panel_constants.h"
#include "kernels/x86_64/avx512.h"

namespace midge::avx512 {

inline constexpr int kVnniOffset = 128;
inline constexpr int kAmxOffset = 0;

/// kOffset in every byte.
template <int kOffset>
static inline __m512i panel_offset() {
  return _mm512_set1_epi8(static_cast<char>(kOffset));
}

/// multiplier_max / max, 0 where max is 0.
static inline __m512 multiplier_factor(__m512 max, float multiplier_max) {
  const __mmask16 nonzero = _mm512_cmp_ps_mask(max, _mm512_setzero_ps(), _CMP_NEQ_OQ);
  return _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(multiplier_max), max);
}

/// rint(scale * factor) of 16 rows, each twice: for the two 16-bit halves of a row's 4 columns.
static inline __m512i row_multipliers(__m512 scales, __m512 factor) {
  const __m512i value = _mm512_cvtps_epi32(_mm512_mul_ps(scales, factor));
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, value, _mm512_slli_epi32(value, 16));
}

/// Panel bytes of 64 int8 weights: (weight * multiplier + 2^14) >> 15. The weights at even and odd
/// places are multiplied apart, in 16 bits.
template <int kOffset>
static inline __m512i multiply_q15(__m512i weights, __m512i multipliers) {
  const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(weights, 8), 8);
  const __m512i odd = _mm512_srai_epi16(weights, 8);
  const __m512i even_product = _mm512_mulhrs_epi16(even, multipliers);
  const __m512i odd_product = _mm512_slli_epi16(_mm512_mulhrs_epi16(odd, multipliers), 8);
  const __m512i even_places = _mm512_set1_epi16(0x00FF);
  // even_places ? even_product : odd_product
  const __m512i product = _mm512_ternarylogic_epi32(even_places, even_product, odd_product, 0xCA);
  static_assert(kOffset == 0 || kOffset == 128);  // turning the highest bit adds 128
  return kOffset == 0 ? product : _mm512_xor_si512(product, panel_offset<kOffset>());
}

/// Panel bytes of columns 32 * blocks..255: zeros.
template <int kOffset>
static inline void clear_blocks(int8_t* panel, int64_t blocks) {
  const __m512i zero = panel_offset<kOffset>();
  for (int64_t b = blocks * 8; b < kPanelColumns / 4; ++b) {
    _mm512_store_si512(panel + 128 * b, zero);
    _mm512_store_si512(panel + 128 * b + 64, zero);
  }
}

/// The larger of `largest`, which has no sign, and |value|. Of a NaN it is NaN: max_ps would lose
/// it.
static inline __m512 larger_magnitude(__m512 largest, __m512 value) {
  return _mm512_castsi512_ps(
      _mm512_max_epi32(_mm512_castps_si512(largest), _mm512_castps_si512(_mm512_abs_ps(value))));
}

/// Stores the scales of a panel; returns what row_multipliers() multiplies those of blocks with.
template <typename Unit>
static inline RowPair panel_scales(const UnpackArgs* args, int64_t blocks, float unit_scale,
                                   float multiplier_max) {
  const auto* units = static_cast<const Unit*>(args->rhs);
  __m512 max_low = _mm512_setzero_ps();
  __m512 max_high = _mm512_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b) {
    const RowPair scales = load_f16(units[b].scales);
    max_low = larger_magnitude(max_low, scales.low);
    max_high = larger_magnitude(max_high, scales.high);
  }
  const __m512 unit = _mm512_set1_ps(unit_scale);
  _mm512_storeu_ps(args->scales, _mm512_mul_ps(max_low, unit));
  _mm512_storeu_ps(args->scales + 16, _mm512_mul_ps(max_high, unit));
  return {multiplier_factor(max_low, multiplier_max), multiplier_factor(max_high, multiplier_max)};
}

/// 16 * (q - 8) of a line as int8: the high nibbles where they are (stored as q - 8), the low ones
/// shifted up and with their sign bit turned. About 24 instructions per 64 bytes of nibbles.
template <int kOffset>
static inline void unpack_q4b32(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ4B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  const RowPair factors =
      panel_scales<UnitQ4B32>(args, blocks, generic::kQ4Unit, generic::kQ4MultiplierMax);
  const __m512i high_nibbles = _mm512_set1_epi8(static_cast<char>(0xF0));
  const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int64_t b = 0; b < blocks; ++b) {
    const RowPair scales = load_f16(units[b].scales);
    const __m512i multipliers_low = row_multipliers(scales.low, factors.low);
    const __m512i multipliers_high = row_multipliers(scales.high, factors.high);
    int8_t* panel = args->panel + b * 32 * kTileRows;
    for (int g = 0; g < 8; ++g, panel += 128) {
      const __m512i line = load_stream(units[b].nibbles[g]);
      // (line << 4 & 0xF0) ^ 0x80
      const __m512i low =
          _mm512_ternarylogic_epi32(_mm512_slli_epi16(line, 4), high_nibbles, sign_bits, 0x6A);
      const __m512i high = _mm512_and_si512(line, high_nibbles);
      _mm512_store_si512(panel, multiply_q15<kOffset>(low, multipliers_low));
      _mm512_store_si512(panel + 64, multiply_q15<kOffset>(high, multipliers_high));
    }
  }
  clear_blocks<kOffset>(args->panel, blocks);
}

/// 10 instructions per 64 weights.
template <int kOffset>
static inline void unpack_q8b32(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ8B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  const RowPair factors =
      panel_scales<UnitQ8B32>(args, blocks, generic::kQ8Unit, generic::kQ8MultiplierMax);
  for (int64_t b = 0; b < blocks; ++b) {
    const RowPair scales = load_f16(units[b].scales);
    const __m512i multipliers_low = row_multipliers(scales.low, factors.low);
    const __m512i multipliers_high = row_multipliers(scales.high, factors.high);
    int8_t* panel = args->panel + b * 32 * kTileRows;
    for (int g = 0; g < 8; ++g, panel += 128) {
      const __m512i low = load_stream(units[b].values[g][0]);
      const __m512i high = load_stream(units[b].values[g][1]);
      _mm512_store_si512(panel, multiply_q15<kOffset>(low, multipliers_low));
      _mm512_store_si512(panel + 64, multiply_q15<kOffset>(high, multipliers_high));
    }
  }
  clear_blocks<kOffset>(args->panel, blocks);
}

}  // namespace midge::avx512
