// Units of 256 columns with integer scales of blocks of columns, and of 32 columns as blocks
// (kernels/packed.h), as int8 panels: the rounding of kernels/generic/panel/unpack_s256.h.
// Registers j = 0..3 stand for rows 8j..8j+7.
//
// A value is the high byte of a * q + c in 16 bits, c = 2^7 - b; those at even and odd places are
// multiplied apart.
#pragma once

#include "kernels/generic/panel/panel_constants.h"
#include "kernels/x86_64/panel/unpack_avx2.h"
#include "kernels/x86_64/units_s256_avx2.h"

namespace midge::avx2 {

/// a and c of every block and row, each twice: for the two 16-bit halves of a row's 4 columns.
template <int kBlocks>
struct BlockIntegers {
  __m256i a[kBlocks][4];
  __m256i c[kBlocks][4];
};

/// 8 f16 scales times 8 integers.
static inline __m256 scale_8(const uint16_t* scales, const int8_t* factors) {
  return _mm256_mul_ps(load_f16(scales), integers_8(factors));
}

/// The larger of `largest` and the magnitude of scales * weight - minimums.
static inline __m256 max_magnitude(__m256 largest, __m256 scales, float weight, __m256 minimums) {
  const __m256 value = _mm256_sub_ps(_mm256_mul_ps(scales, _mm256_set1_ps(weight)), minimums);
  return larger_magnitude(largest, value);
}

static inline __m256i twice(__m256i lanes) {
  return _mm256_blend_epi16(lanes, _mm256_slli_epi32(lanes, 16), 0xAA);
}

/// The integers of rows 8j..8j+7 and their panel scales, from the scales and minimums of `blocks`
/// blocks. Weights are q + kWeightMin up to kWeightMax.
template <int kBlocks, int kWeightMin, int kWeightMax>
static inline void integers_of_rows(int64_t blocks, const __m256 (&scales)[kBlocks],
                                    const __m256 (&minimums)[kBlocks], int j,
                                    BlockIntegers<kBlocks>* out, float* panel_scales) {
  __m256 largest = _mm256_setzero_ps();
  for (int64_t block = 0; block < blocks; ++block) {
    largest = max_magnitude(largest, scales[block], kWeightMin, minimums[block]);
    largest = max_magnitude(largest, scales[block], kWeightMax, minimums[block]);
  }
  _mm256_storeu_ps(panel_scales + 8 * j,
                   _mm256_mul_ps(largest, _mm256_set1_ps(generic::kBlockUnit)));
  const __m256 nonzero = _mm256_cmp_ps(largest, _mm256_setzero_ps(), _CMP_NEQ_OQ);
  const __m256 quotient = _mm256_div_ps(_mm256_set1_ps(generic::kBlockMultiplierMax), largest);
  const __m256 factor = _mm256_and_ps(quotient, nonzero);
  for (int64_t block = 0; block < blocks; ++block) {
    const __m256i a = twice(_mm256_cvtps_epi32(_mm256_mul_ps(scales[block], factor)));
    const __m256i b = twice(_mm256_cvtps_epi32(_mm256_mul_ps(minimums[block], factor)));
    const __m256i offset = _mm256_mullo_epi16(a, _mm256_set1_epi16(kWeightMin));
    out->a[block][j] = a;
    out->c[block][j] = _mm256_add_epi16(_mm256_sub_epi16(_mm256_set1_epi16(0x80), b), offset);
  }
}

/// The same of all rows of a unit of 256 columns. minimums: null if there are none.
template <int kBlocks, int kWeightMin, int kWeightMax>
static inline void block_integers(const uint16_t* scales, const int8_t (*factors)[kTileRows],
                                  const uint16_t* minimums, const int8_t (*sub_minimums)[kTileRows],
                                  BlockIntegers<kBlocks>* out, float* panel_scales) {
  for (int j = 0; j < 4; ++j) {
    const int row = 8 * j;
    __m256 block_scales[kBlocks];
    __m256 block_minimums[kBlocks];
    for (int block = 0; block < kBlocks; ++block) {
      block_scales[block] = scale_8(scales + row, factors[block] + row);
      block_minimums[block] = minimums == nullptr
                                  ? _mm256_setzero_ps()
                                  : scale_8(minimums + row, sub_minimums[block] + row);
    }
    integers_of_rows<kBlocks, kWeightMin, kWeightMax>(kBlocks, block_scales, block_minimums, j, out,
                                                      panel_scales);
  }
}

/// The panel's 4 columns of 8 rows.
static inline void store_values(int8_t* to, __m256i q, __m256i a, __m256i c) {
  const __m256i even_places = _mm256_set1_epi16(0x00FF);
  const __m256i even = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_and_si256(q, even_places), a), c);
  const __m256i odd = _mm256_add_epi16(_mm256_mullo_epi16(_mm256_srli_epi16(q, 8), a), c);
  const __m256i values =
      _mm256_or_si256(_mm256_srli_epi16(even, 8), _mm256_andnot_si256(even_places, odd));
  _mm256_store_si256(reinterpret_cast<__m256i*>(to), values);
}

/// q4b32ms256 and q5b32ms256, q = 0..kWeightMax.
template <int kWeightMax, typename Unit>
static inline void unpack_ms256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const Unit*>(args->rhs);
  SubScales sub_scales;
  read_sub_scales(unit.sub_scales, &sub_scales);
  BlockIntegers<8> integers;
  block_integers<8, 0, kWeightMax>(unit.scales, sub_scales.scales, unit.minimums,
                                   sub_scales.minimums, &integers, args->scales);
  for (int b = 0; b < 8; ++b) {
    for (int half = 0; half < 2; ++half) {
      int8_t* panel = args->panel + b * 32 * kTileRows + 32 * half;
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g, panel += 128) {
        const Weights weights = load_weights(unit.blocks[b], g, half);
        store_values(panel, weights.low, integers.a[b][half], integers.c[b][half]);
        store_values(panel + 64, weights.high, integers.a[b][2 + half], integers.c[b][2 + half]);
      }
    }
  }
}

/// q4b32m, q5b32 and q5b32m, weights q + kWeightMin up to kWeightMax: units of 32 columns as
/// blocks.
template <int kWeightMin, int kWeightMax, typename Unit>
static inline void unpack_ranges(const UnpackArgs* args) {
  const auto* units = static_cast<const Unit*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  BlockIntegers<8> integers;
  for (int j = 0; j < 4; ++j) {
    __m256 scales[8];
    __m256 minimums[8];
    for (int64_t b = 0; b < blocks; ++b) {
      scales[b] = load_f16(units[b].scales + 8 * j);
      minimums[b] = _mm256_setzero_ps();
      if constexpr (requires { units->minimums; }) {
        minimums[b] = _mm256_sub_ps(minimums[b], load_f16(units[b].minimums + 8 * j));
      }
    }
    integers_of_rows<8, kWeightMin, kWeightMax>(blocks, scales, minimums, j, &integers,
                                                args->scales);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    for (int half = 0; half < 2; ++half) {
      int8_t* panel = args->panel + b * 32 * kTileRows + 32 * half;
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g, panel += 128) {
        const Weights weights = load_weights(units[b].block, g, half);
        store_values(panel, weights.low, integers.a[b][half], integers.c[b][half]);
        store_values(panel + 64, weights.high, integers.a[b][2 + half], integers.c[b][2 + half]);
      }
    }
  }
  const int64_t done = blocks * 32 * kTileRows;
  std::memset(args->panel + done, 0, static_cast<size_t>(kPanelBytes - done));
}

static inline void unpack_q6b16s256(const UnpackArgs* args) {
  const auto& unit = *static_cast<const UnitQ6B16S256*>(args->rhs);
  BlockIntegers<16> integers;
  block_integers<16, -32, 31>(unit.scales, unit.sub_scales, nullptr, nullptr, &integers,
                              args->scales);
  for (int block = 0; block < 16; ++block) {
    for (int half = 0; half < 2; ++half) {
      int8_t* panel = args->panel + block * 16 * kTileRows + 32 * half;
      for (int p = 0; p < 2; ++p, panel += 256) {
        Weights lines[2];
        load_weights(unit.columns8[block / 2][block % 2 * 2 + p], half, lines);
#pragma GCC unroll 2
        for (int g = 0; g < 2; ++g) {
          store_values(panel + 128 * g, lines[g].low, integers.a[block][half],
                       integers.c[block][half]);
          store_values(panel + 128 * g + 64, lines[g].high, integers.a[block][2 + half],
                       integers.c[block][2 + half]);
        }
      }
    }
  }
}

}  // namespace midge::avx2
