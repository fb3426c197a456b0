// Panels, as in unpack_avx512.h, of units with integer scales of blocks of columns, and of units of
// 32 columns as blocks; the rounding is that of kernels/generic/panel/unpack_s256.h.
//
// A panel byte is the high byte of a * q + c in 16 bits, c = 256 * kOffset + 0x80 - b.
#pragma once

#include "kernels/x86_64/panel/unpack_avx512.h"
#include "kernels/x86_64/units_s256_avx512.h"

namespace midge::avx512 {

/// Scales and minimums of a block for 16 rows.
struct BlockScales {
  __m512 scales;
  __m512 minimums;
};

/// The largest magnitude of weights kWeightMin..kWeightMax, or `largest`.
template <int kWeightMin, int kWeightMax>
static inline __m512 max_magnitude(const BlockScales& block, __m512 largest) {
  const __m512 at_min =
      _mm512_sub_ps(_mm512_mul_ps(block.scales, _mm512_set1_ps(kWeightMin)), block.minimums);
  const __m512 at_max =
      _mm512_sub_ps(_mm512_mul_ps(block.scales, _mm512_set1_ps(kWeightMax)), block.minimums);
  return larger_magnitude(larger_magnitude(largest, at_min), at_max);
}

/// a and c of a block for 16 rows, each twice: for the two 16-bit halves of a row's 4 columns.
/// Weights are q + kWeightMin.
struct BlockIntegers {
  __m512i a;
  __m512i c;
};
static inline __m512i twice(__m512i lanes) {
  return _mm512_mask_blend_epi16(0xAAAAAAAAu, lanes, _mm512_slli_epi32(lanes, 16));
}
template <int kOffset, int kWeightMin>
static inline BlockIntegers block_integers(const BlockScales& block, __m512 factor) {
  const __m512i a = twice(_mm512_cvtps_epi32(_mm512_mul_ps(block.scales, factor)));
  const __m512i b = twice(_mm512_cvtps_epi32(_mm512_mul_ps(block.minimums, factor)));
  const __m512i offset = _mm512_mullo_epi16(a, _mm512_set1_epi16(kWeightMin));
  constexpr auto kStart = static_cast<int16_t>(256 * kOffset + 0x80);
  const __m512i c = _mm512_sub_epi16(_mm512_set1_epi16(kStart), b);
  return {a, _mm512_add_epi16(c, offset)};
}

/// Panel bytes of q = 0..63 of 4 columns of 16 rows.
static inline __m512i panel_bytes(__m512i q, const BlockIntegers& block) {
  const __m512i even_places = _mm512_set1_epi16(0x00FF);
  const __m512i even = _mm512_and_si512(q, even_places);
  const __m512i odd = _mm512_srli_epi16(q, 8);
  const __m512i even_value = _mm512_add_epi16(_mm512_mullo_epi16(even, block.a), block.c);
  const __m512i odd_value = _mm512_add_epi16(_mm512_mullo_epi16(odd, block.a), block.c);
  // even_places ? even_value >> 8 : odd_value
  return _mm512_ternarylogic_epi32(even_places, _mm512_srli_epi16(even_value, 8), odd_value, 0xCA);
}

/// The scale of 16 rows of the panel, and what block_integers() multiplies with.
static inline __m512 finish_scales(__m512 largest, float* scales) {
  _mm512_storeu_ps(scales, _mm512_mul_ps(largest, _mm512_set1_ps(generic::kBlockUnit)));
  const __mmask16 nonzero = _mm512_cmp_ps_mask(largest, _mm512_setzero_ps(), _CMP_NEQ_OQ);
  return _mm512_maskz_div_ps(nonzero, _mm512_set1_ps(generic::kBlockMultiplierMax), largest);
}

/// The blocks of q4b32ms256 and q5b32ms256, of rows 16 * half.. of a tile.
template <typename Unit>
static inline BlockScales load_block(const Unit& unit, const SubScales& sub_scales, int block,
                                     int half) {
  const __m512 scales = half == 0 ? load_f16(unit.scales).low : load_f16(unit.scales).high;
  const __m512 minimums = half == 0 ? load_f16(unit.minimums).low : load_f16(unit.minimums).high;
  return {_mm512_mul_ps(scales, _mm512_cvtepi32_ps(load_u8(sub_scales.scales[half][block]))),
          _mm512_mul_ps(minimums, _mm512_cvtepi32_ps(load_u8(sub_scales.minimums[half][block])))};
}

/// q4b32ms256 and q5b32ms256, q = 0..kWeightMax: 11 and 15 instructions and 1 store per 64 weights.
template <int kOffset, int kWeightMax, typename Unit>
static inline void unpack_ms256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const Unit*>(args->rhs);
  SubScales sub_scales;
  read_sub_scales(unit.sub_scales, &sub_scales);
  __m512 factors[2];
  for (int half = 0; half < 2; ++half) {
    __m512 largest = _mm512_setzero_ps();
    for (int b = 0; b < 8; ++b) {
      largest = max_magnitude<0, kWeightMax>(load_block(unit, sub_scales, b, half), largest);
    }
    factors[half] = finish_scales(largest, args->scales + 16 * half);
  }
  int8_t* panel = args->panel;
  for (int b = 0; b < 8; ++b) {
    const BlockIntegers low =
        block_integers<kOffset, 0>(load_block(unit, sub_scales, b, 0), factors[0]);
    const BlockIntegers high =
        block_integers<kOffset, 0>(load_block(unit, sub_scales, b, 1), factors[1]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g, panel += 128) {
      const Weights weights = load_weights(unit.blocks[b], g);
      _mm512_store_si512(panel, panel_bytes(weights.low, low));
      _mm512_store_si512(panel + 64, panel_bytes(weights.high, high));
    }
  }
}

/// The block that a unit of 32 columns is, of rows 16 * half.. of a tile.
template <typename Unit>
static inline BlockScales load_block(const Unit& unit, int half) {
  const RowPair scales = load_f16(unit.scales);
  BlockScales block = {half == 0 ? scales.low : scales.high, _mm512_setzero_ps()};
  if constexpr (requires { unit.minimums; }) {
    const RowPair minimums = load_f16(unit.minimums);
    block.minimums = _mm512_sub_ps(block.minimums, half == 0 ? minimums.low : minimums.high);
  }
  return block;
}

/// q4b32m, q5b32 and q5b32m, weights q + kWeightMin up to kWeightMax: as unpack_ms256.
template <int kOffset, int kWeightMin, int kWeightMax, typename Unit>
static inline void unpack_ranges(const UnpackArgs* args) {
  const auto* units = static_cast<const Unit*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  __m512 factors[2];
  for (int half = 0; half < 2; ++half) {
    __m512 largest = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; ++b) {
      largest = max_magnitude<kWeightMin, kWeightMax>(load_block(units[b], half), largest);
    }
    factors[half] = finish_scales(largest, args->scales + 16 * half);
  }
  int8_t* panel = args->panel;
  for (int64_t b = 0; b < blocks; ++b) {
    const auto low = block_integers<kOffset, kWeightMin>(load_block(units[b], 0), factors[0]);
    const auto high = block_integers<kOffset, kWeightMin>(load_block(units[b], 1), factors[1]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g, panel += 128) {
      const Weights weights = load_weights(units[b].block, g);
      _mm512_store_si512(panel, panel_bytes(weights.low, low));
      _mm512_store_si512(panel + 64, panel_bytes(weights.high, high));
    }
  }
  clear_blocks<kOffset>(args->panel, blocks);
}

/// The block of q6b16s256, of rows 16 * half.. of a tile.
static inline BlockScales load_block(const UnitQ6B16S256& unit, int block, int half) {
  const RowPair scales = load_f16(unit.scales);
  const __m512 factors = _mm512_cvtepi32_ps(load_i8(unit.sub_scales[block] + 16 * half));
  return {_mm512_mul_ps(half == 0 ? scales.low : scales.high, factors), _mm512_setzero_ps()};
}

/// 13 instructions and 1 store per 64 weights.
template <int kOffset>
static inline void unpack_q6b16s256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const UnitQ6B16S256*>(args->rhs);
  __m512 factors[2];
  for (int half = 0; half < 2; ++half) {
    __m512 largest = _mm512_setzero_ps();
    for (int block = 0; block < 16; ++block) {
      largest = max_magnitude<-32, 31>(load_block(unit, block, half), largest);
    }
    factors[half] = finish_scales(largest, args->scales + 16 * half);
  }
  int8_t* panel = args->panel;
  for (int block = 0; block < 16; ++block) {
    const BlockIntegers low = block_integers<kOffset, -32>(load_block(unit, block, 0), factors[0]);
    const BlockIntegers high = block_integers<kOffset, -32>(load_block(unit, block, 1), factors[1]);
    for (int p = 0; p < 2; ++p, panel += 256) {
      Weights lines[2];
      load_weights(unit.columns8[block / 2][block % 2 * 2 + p], lines);
      _mm512_store_si512(panel, panel_bytes(lines[0].low, low));
      _mm512_store_si512(panel + 64, panel_bytes(lines[0].high, high));
      _mm512_store_si512(panel + 128, panel_bytes(lines[1].low, low));
      _mm512_store_si512(panel + 192, panel_bytes(lines[1].high, high));
    }
  }
}

}  // namespace midge::avx512
