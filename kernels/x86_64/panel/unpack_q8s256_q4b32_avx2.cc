// 32 rows x 256 columns of UnitQ4B32 as a panel [64 groups of 4 columns][32 rows][4] of int8; the
// rounding is that of kernels/generic/panel/panel.h.
//
// 16 * (q - 8) of a line as int8: the high nibbles where they are (stored as q - 8), the low ones
// shifted up and with their sign bit turned. 20 instructions per 32 bytes of nibbles.
#include "kernels/generic/panel/panel.h"
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx2.h"

void midge::unpack_q8s256_q4b32_avx2(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ4B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  __m256 largest[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                       _mm256_setzero_ps()};
  __m256 factors[4];
  for (int64_t b = 0; b < blocks; ++b) avx2::update_largest(units[b].scales, largest);
  avx2::finish_scales(largest, generic::kQ4Unit, generic::kQ4MultiplierMax, args->scales, factors);

  const __m256i high_nibbles = _mm256_set1_epi8(static_cast<char>(0xF0));
  const __m256i sign_bits = _mm256_set1_epi8(static_cast<char>(0x80));
  for (int64_t b = 0; b < blocks; ++b) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i multipliers_low =
          avx2::row_multipliers(units[b].scales + 8 * half, factors[half]);
      const __m256i multipliers_high =
          avx2::row_multipliers(units[b].scales + 16 + 8 * half, factors[2 + half]);
      int8_t* panel = args->panel + b * 32 * kTileRows + 32 * half;
      for (int g = 0; g < 8; ++g, panel += 128) {
        const __m256i line = avx2::load_stream(units[b].nibbles[g] + 32 * half);
        const __m256i low =
            _mm256_xor_si256(_mm256_and_si256(_mm256_slli_epi16(line, 4), high_nibbles), sign_bits);
        const __m256i high = _mm256_and_si256(line, high_nibbles);
        avx2::store_panel(panel, avx2::multiply_q15(low, multipliers_low));
        avx2::store_panel(panel + 64, avx2::multiply_q15(high, multipliers_high));
      }
    }
  }
  const int64_t done = blocks * 32 * kTileRows;
  std::memset(args->panel + done, 0, static_cast<size_t>(kPanelBytes - done));
}
