// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32S256 (kernels/packed.h), 4288 B per 32 rows
// x 256 columns. The product is avx512::add_nibbles, as for q4b32; a block's scales are the unit's
// times its 4-bit integers.
//
// Per block of 32 columns: 8 lines, 16 bytes of sub-scales, 16 m vpdpbusd = 1024 m multiply-adds;
// bound by memory up to m = 4.
// Rounding: int32 sums are exact; scale * sub-scale, then * activation scale, then one fused
// multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

void midge::gemv_f32_q8b32_q4b32s256_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<avx512::TileSums, UnitQ4B32S256, 256>(
      args, []<int kRows>(const UnitQ4B32S256& unit, int64_t u, avx512::TileSums<kRows>& sums) {
        x86::request_ahead<kRows>(&unit, unit.nibbles);
        const avx512::RowPair scales = avx512::load_f16(unit.scales);
        for (int64_t b = 0; b < 8; ++b) {
          x86::request_ahead<kRows>(unit.nibbles + b, unit.nibbles + b + 1);
          const __m512i sub_scales = _mm512_cvtepu8_epi32(
              _mm_load_si128(reinterpret_cast<const __m128i*>(unit.sub_scales[b])));
          const __m512i low = _mm512_and_si512(sub_scales, _mm512_set1_epi32(15));
          const __m512i high = _mm512_srli_epi32(sub_scales, 4);
          const avx512::RowPair block_scales = {
              _mm512_mul_ps(scales.low, _mm512_cvtepi32_ps(low)),
              _mm512_mul_ps(scales.high, _mm512_cvtepi32_ps(high))};
          avx512::add_nibbles(unit.nibbles[b], 8 * u + b, block_scales, sums);
        }
      });
}
