// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32S256 (kernels/packed.h), 4288 B per 32 rows
// x 256 columns. The product is avx2::add_nibbles, as for q4b32; a block's scales are the unit's
// times its 4-bit integers.
//
// Rounding: integer sums are exact; scale * sub-scale, then * activation scale, then one fused
// multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

void midge::gemv_f32_q8b32_q4b32s256_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<avx2::TileSums, UnitQ4B32S256, 256>(
      args, []<int kRows>(const UnitQ4B32S256& unit, int64_t u, avx2::TileSums<kRows>& sums) {
        x86::request_ahead<kRows>(&unit, unit.nibbles);
        const __m256i nibble = _mm256_set1_epi32(15);
        for (int64_t b = 0; b < 8; ++b) {
          x86::request_ahead<kRows>(unit.nibbles + b, unit.nibbles + b + 1);
          __m256 scales[4];
#pragma GCC unroll 2
          for (int half = 0; half < 2; ++half) {
            const __m256i sub_scales = _mm256_cvtepu8_epi32(
                _mm_loadl_epi64(reinterpret_cast<const __m128i*>(unit.sub_scales[b] + 8 * half)));
            const __m256i low = _mm256_and_si256(sub_scales, nibble);
            const __m256i high = _mm256_srli_epi32(sub_scales, 4);
            scales[half] =
                _mm256_mul_ps(avx2::load_f16(unit.scales + 8 * half), _mm256_cvtepi32_ps(low));
            scales[2 + half] = _mm256_mul_ps(avx2::load_f16(unit.scales + 16 + 8 * half),
                                             _mm256_cvtepi32_ps(high));
          }
          avx2::add_nibbles(unit.nibbles[b], 8 * u + b, scales, sums);
        }
      });
}
