// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns; lane r of a line is row r (low nibbles) and row r + 16 (high nibbles).
//
// Per line of 4 columns: low = line & 0x0F is q of rows 0..15, high = (line & 0xF0) ^ 0x80 is 16 *
// q of rows 16..31 (one vpternlog); each goes through one vpdpbusd with 4 broadcast activations per
// token. The accumulators start at the correction, the high one at 16 times it, so that they end
// with the sums of q - 8; the factor 16 goes by an arithmetic shift, exactly.
// Registers: 2 m int32 and 2 m f32 sums, 2 weights, 1 broadcast, 2 masks; m = 8 needs a few more
// than there are, which costs a dozen spills per unit. Per unit: 9 loads, 9 prefetches, 16 m
// vpdpbusd = 1024 m multiply-adds. m <= 4 is bound by memory; m = 8 by the two multiply ports of
// Zen 4 (16 + 4 cycles per token and unit). Rounding: int32 sums are exact; one product of the
// scales and one fused multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/avx512.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const int64_t blocks = (args->k + 31) / 32;
  const __m512i low_nibbles = _mm512_set1_epi8(0x0F);
  const __m512i high_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  const auto* unit = static_cast<const UnitQ4B32*>(args->rhs);
  for (int64_t column = 0; column < args->n; column += kTileRows) {
    __m512 sums_low[kRows];
    __m512 sums_high[kRows];
    const char* lhs[kRows];
    for (int i = 0; i < kRows; ++i) {
      sums_low[i] = sums_high[i] = _mm512_setzero_ps();
      lhs[i] = static_cast<const char*>(args->lhs) + i * args->lhs_stride;
    }
    for (int64_t b = 0; b < blocks; ++b, ++unit) {
      __m512i low[kRows];
      __m512i high[kRows];
      for (int i = 0; i < kRows; ++i) {
        const auto* block = reinterpret_cast<const LhsBlock*>(lhs[i]) + b;
        low[i] = _mm512_set1_epi32(block->correction);
        high[i] = _mm512_slli_epi32(low[i], 4);
      }
      const __m512i scales = avx512::load_stream(unit->scales);
#pragma GCC unroll 8
      for (int g = 0; g < 8; ++g) {
        const __m512i line = avx512::load_stream(unit->nibbles[g]);
        const __m512i weights_low = _mm512_and_si512(line, low_nibbles);
        const __m512i weights_high = _mm512_ternarylogic_epi32(line, low_nibbles, high_bits, 0x9A);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          const auto* block = reinterpret_cast<const LhsBlock*>(lhs[i]) + b;
          const __m512i values = avx512::broadcast_group(block->values + 4 * g);
          low[i] = _mm512_dpbusd_epi32(low[i], weights_low, values);
          high[i] = _mm512_dpbusd_epi32(high[i], weights_high, values);
        }
      }
      const __m512 scales_low = _mm512_cvtph_ps(_mm512_castsi512_si256(scales));
      const __m512 scales_high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(scales, 1));
      for (int i = 0; i < kRows; ++i) {
        const auto* block = reinterpret_cast<const LhsBlock*>(lhs[i]) + b;
        const __m512 scale = _mm512_set1_ps(block->scale);
        sums_low[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low[i]), _mm512_mul_ps(scales_low, scale),
                                      sums_low[i]);
        sums_high[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32(high[i], 4)),
                                       _mm512_mul_ps(scales_high, scale), sums_high[i]);
      }
    }
    for (int i = 0; i < kRows; ++i) {
      avx512::store_sums(args, i, column, sums_low[i], sums_high[i]);
    }
  }
}

}  // namespace

void gemv_f32_q8b32_q4b32_8x32_avx512_vnni(const GemvArgs* args) {
  switch (args->m) {
    case 1: return gemv<1>(args);
    case 2: return gemv<2>(args);
    case 3: return gemv<3>(args);
    case 4: return gemv<4>(args);
    case 5: return gemv<5>(args);
    case 6: return gemv<6>(args);
    case 7: return gemv<7>(args);
    default: return gemv<8>(args);
  }
}

}  // namespace midge
