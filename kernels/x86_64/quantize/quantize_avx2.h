// f32 activations as int8 (the specification: kernels/generic/quantize.h), 32 at a time.
#pragma once

#include "kernels/x86_64/avx2.h"
#include "kernels/x86_64/quantize/quantize_scale.h"

namespace midge::avx2 {

static inline uint32_t largest_lane(__m256i lanes) {
  __m128i half = _mm_max_epu32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0x4E));
  half = _mm_max_epu32(half, _mm_shuffle_epi32(half, 0xB1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half));
}

static inline int32_t sum_lanes(__m256i lanes) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
  return _mm_cvtsi128_si32(half);
}

/// in[kCount] as int8; their sum and their scale. kCount: a multiple of 32.
template <int kCount>
static inline float quantize_whole_block(const float* in, int8_t* out, int32_t* sum) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256i max = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int i = 0; i < kCount; i += 8) {
    max =
        _mm256_max_epu32(max, _mm256_castps_si256(_mm256_andnot_ps(sign, _mm256_loadu_ps(in + i))));
  }
  const x86::QuantizeScale s = x86::quantize_scale(largest_lane(max));
  if (s.inverse == 0.0f) {
    std::memset(out, 0, kCount);
    *sum = 0;
    return s.scale;
  }
  const __m256 inverse = _mm256_set1_ps(s.inverse);
  const __m256 round = _mm256_set1_ps(x86::kRound);
  const __m256i round_bits = _mm256_set1_epi32(static_cast<int32_t>(x86::kRoundBits));
  // The packs below work within 128 bits and leave 4 values at a time in this order.
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  __m256i total = _mm256_setzero_si256();
  for (int i = 0; i < kCount; i += 32) {
    __m256i values[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(in + i + 8 * j), inverse);
      values[j] = _mm256_sub_epi32(_mm256_castps_si256(_mm256_add_ps(scaled, round)), round_bits);
      total = _mm256_add_epi32(total, values[j]);
    }
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(values[0], values[1]),
                                             _mm256_packs_epi32(values[2], values[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        _mm256_permutevar8x32_epi32(bytes, order));
  }
  *sum = sum_lanes(total);
  return s.scale;
}

/// in[count], filled up to kCount with zeros.
template <int kCount>
static inline float quantize_block(const float* in, int64_t count, int8_t* out, int32_t* sum) {
  if (count >= kCount) return quantize_whole_block<kCount>(in, out, sum);
  float padded[kCount] = {};
  for (int64_t i = 0; i < count; ++i) padded[i] = in[i];
  return quantize_whole_block<kCount>(padded, out, sum);
}

}  // namespace midge::avx2
