// f32 activations as int8 (the specification: kernels/generic/quantize.h), whole registers at a
// time.
#pragma once

#include "kernels/x86_64/avx512.h"
#include "kernels/x86_64/quantize/quantize_scale.h"

namespace midge::avx512 {

/// Columns 16 * index.. of `count`, zeros beyond.
static inline __m512 load_columns(const float* in, int64_t index, int64_t count) {
  const int64_t left = count - 16 * index;
  if (left <= 0) return _mm512_setzero_ps();
  const uint32_t mask = left >= 16 ? 0xFFFFu : (1u << left) - 1;
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), in + 16 * index);
}

/// in[count] as 16 * kRegisters int8, zeros beyond count; their sum and their scale.
template <int kRegisters>
static inline float quantize_block(const float* in, int64_t count, int8_t* out, int32_t* sum) {
  __m512 columns[kRegisters];
  __m512i max = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int i = 0; i < kRegisters; ++i) {
    columns[i] = load_columns(in, i, count);
    max = _mm512_max_epu32(max, _mm512_castps_si512(_mm512_abs_ps(columns[i])));
  }
  const x86::QuantizeScale s = x86::quantize_scale(_mm512_reduce_max_epu32(max));
  if (s.inverse == 0.0f) {
    std::memset(out, 0, 16 * kRegisters);
    *sum = 0;
    return s.scale;
  }
  const __m512 inverse = _mm512_set1_ps(s.inverse);
  const __m512 round = _mm512_set1_ps(x86::kRound);
  __m512i total = _mm512_setzero_si512();
#pragma GCC unroll 16
  for (int i = 0; i < kRegisters; ++i) {
    const __m512i rounded =
        _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(columns[i], inverse), round));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * i), _mm512_cvtepi32_epi8(rounded));
    total = _mm512_add_epi32(total, rounded);
  }
  // Every element still carries the bits of the rounding constant, which a sum of all would
  // overflow with.
  constexpr uint32_t kBits = kRegisters * x86::kRoundBits;
  total = _mm512_sub_epi32(total, _mm512_set1_epi32(static_cast<int32_t>(kBits)));
  *sum = _mm512_reduce_add_epi32(total);
  return s.scale;
}

}  // namespace midge::avx512
