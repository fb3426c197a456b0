// 32 rows x 256 columns of UnitQ4B32 as a panel [64 groups of 4 columns][32 rows][4] of value +
// 128; the rounding is that of kernels/generic/panel/panel.h.
//
// 16 * (q - 8) of a line as int8: the high nibbles where they are (stored as q - 8), the low ones
// shifted up and with their sign bit turned. About 24 instructions per 64 bytes of nibbles.
#include "kernels/generic/panel/panel.h"
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx512.h"

void midge::unpack_q8s256_q4b32_avx512_vnni(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ4B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  __m512 max_low = _mm512_setzero_ps();
  __m512 max_high = _mm512_setzero_ps();
  for (int64_t b = 0; b < blocks; ++b) {
    const avx512::RowPair scales = avx512::load_f16(units[b].scales);
    max_low = _mm512_max_ps(max_low, _mm512_abs_ps(scales.low));
    max_high = _mm512_max_ps(max_high, _mm512_abs_ps(scales.high));
  }
  const __m512 unit = _mm512_set1_ps(generic::kQ4Unit);
  _mm512_storeu_ps(args->scales, _mm512_mul_ps(max_low, unit));
  _mm512_storeu_ps(args->scales + 16, _mm512_mul_ps(max_high, unit));
  const __m512 factor_low = avx512::multiplier_factor(max_low, generic::kQ4MultiplierMax);
  const __m512 factor_high = avx512::multiplier_factor(max_high, generic::kQ4MultiplierMax);

  const __m512i high_nibbles = _mm512_set1_epi8(static_cast<char>(0xF0));
  const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int64_t b = 0; b < blocks; ++b) {
    const avx512::RowPair scales = avx512::load_f16(units[b].scales);
    const __m512i multipliers_low = avx512::row_multipliers(scales.low, factor_low);
    const __m512i multipliers_high = avx512::row_multipliers(scales.high, factor_high);
    int8_t* panel = args->panel + b * 32 * kTileRows;
    for (int g = 0; g < 8; ++g, panel += 128) {
      const __m512i line = avx512::load_stream(units[b].nibbles[g]);
      // (line << 4 & 0xF0) ^ 0x80
      const __m512i low =
          _mm512_ternarylogic_epi32(_mm512_slli_epi16(line, 4), high_nibbles, sign_bits, 0x6A);
      const __m512i high = _mm512_and_si512(line, high_nibbles);
      _mm512_store_si512(panel, avx512::multiply_q15(low, multipliers_low));
      _mm512_store_si512(panel + 64, avx512::multiply_q15(high, multipliers_high));
    }
  }
  avx512::clear_blocks(args->panel, blocks);
}
