// What the AVX-512 kernels share. All of it is `static inline` or in the anonymous namespace: an
// object compiled for a level must not define a symbol that code for weaker CPUs could be linked
// to.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/kernel_types.h"
#include "kernels/x86_64/stream.h"

namespace midge::avx512 {

/// 64 aligned bytes of a weight stream. `asm volatile`, because g++ 12 otherwise loads a line once
/// per use.
static inline __m512i load_stream(const void* line) {
  __m512i value;
  asm volatile("vmovdqa64 %1, %0" : "=v"(value) : "m"(*static_cast<const char(*)[64]>(line)));
  return value;
}

/// Values of rows 0..15 and 16..31 of a tile.
struct RowPair {
  __m512 low;
  __m512 high;
};

/// 32 f16 (scales of a unit, or a column of weights) as f32.
static inline RowPair load_f16(const uint16_t* values) {
  return {_mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(values))),
          _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(values + 16)))};
}

/// 4 bytes of activations in every lane.
static inline __m512i broadcast_group(const int8_t* values) {
  int32_t group;
  std::memcpy(&group, values, sizeof(group));
  return _mm512_set1_epi32(group);
}

/// sum + integer * (weight_scales * scale): a block of the decode arithmetic, a super-block of the
/// prefill arithmetic.
static inline __m512 add_block(__m512 sum, __m512i integer, __m512 weight_scales, __m512 scale) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(integer), _mm512_mul_ps(weight_scales, scale), sum);
}

/// The lanes of two registers that are features below `n`, for a tile that starts at `feature`.
struct FeatureMasks {
  __mmask16 low;   ///< features 0..15 of the tile
  __mmask16 high;  ///< features 16..31
};
static inline FeatureMasks feature_masks(int64_t n, int64_t feature) {
  const int64_t left = n - feature;
  const uint32_t mask = left >= kTileRows ? ~0u : (1u << left) - 1;
  return {static_cast<__mmask16>(mask & 0xFFFFu), static_cast<__mmask16>(mask >> 16)};
}

/// out[row, feature..feature + 31] = sums (+ addend), as far as there are features.
static inline void store_sums(const GemvArgs* args, int64_t row, int64_t feature, __m512 low,
                              __m512 high) {
  const FeatureMasks masks = feature_masks(args->n, feature);
  if (args->addend != nullptr) {
    const auto* addend =
        reinterpret_cast<const float*>(reinterpret_cast<const char*>(args->addend) +
                                       row * args->addend_stride) +
        feature;
    low = _mm512_add_ps(low, _mm512_maskz_loadu_ps(masks.low, addend));
    high = _mm512_add_ps(high, _mm512_maskz_loadu_ps(masks.high, addend + 16));
  }
  float* out =
      reinterpret_cast<float*>(reinterpret_cast<char*>(args->out) + row * args->out_stride) +
      feature;
  _mm512_mask_storeu_ps(out, masks.low, low);
  _mm512_mask_storeu_ps(out + 16, masks.high, high);
}

}  // namespace midge::avx512
