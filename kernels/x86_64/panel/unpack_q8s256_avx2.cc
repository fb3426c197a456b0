// unpack_q8s256_<encoding>_avx2: packed units as panels of PanelOrder::kGroups4, which is
// [64 groups of 4 columns][32 rows][4]. The rounding is that of kernels/generic/panel/panel.h and
// unpack_s256.h.
#include "kernels/generic/panel/panel_constants.h"
#include "kernels/kernel_types.h"
#include "kernels/x86_64/panel/unpack_avx2.h"
#include "kernels/x86_64/panel/unpack_s256_avx2.h"

namespace midge {
// 16 * (q - 8) of a line as int8: the high nibbles where they are (stored as q - 8), the low ones
// shifted up and with their sign bit turned. 20 instructions per 32 bytes of nibbles.
extern "C" void unpack_q8s256_q4b32_avx2(const UnpackArgs* args) {
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

// 10 instructions per 32 weights.
extern "C" void unpack_q8s256_q8b32_avx2(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ8B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  __m256 largest[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                       _mm256_setzero_ps()};
  __m256 factors[4];
  for (int64_t b = 0; b < blocks; ++b) avx2::update_largest(units[b].scales, largest);
  avx2::finish_scales(largest, generic::kQ8Unit, generic::kQ8MultiplierMax, args->scales, factors);

  for (int64_t b = 0; b < blocks; ++b) {
    __m256i multipliers[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      multipliers[j] = avx2::row_multipliers(units[b].scales + 8 * j, factors[j]);
    }
    int8_t* panel = args->panel + b * 32 * kTileRows;
    for (int g = 0; g < 8; ++g, panel += 128) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m256i values = avx2::load_stream(units[b].values[g][j / 2] + 32 * (j % 2));
        avx2::store_panel(panel + 32 * j, avx2::multiply_q15(values, multipliers[j]));
      }
    }
  }
  const int64_t done = blocks * 32 * kTileRows;
  std::memset(args->panel + done, 0, static_cast<size_t>(kPanelBytes - done));
}

// The inner loop is that of q4b32ms256, below, or of q5b32ms256.
extern "C" void unpack_q8s256_q4b32m_avx2(const UnpackArgs* args) {
  avx2::unpack_ranges<0, 15, UnitQ4B32M>(args);
}
extern "C" void unpack_q8s256_q5b32_avx2(const UnpackArgs* args) {
  avx2::unpack_ranges<-16, 15, UnitQ5B32>(args);
}
extern "C" void unpack_q8s256_q5b32m_avx2(const UnpackArgs* args) {
  avx2::unpack_ranges<0, 31, UnitQ5B32M>(args);
}

// About 12 instructions per 32 weights.
extern "C" void unpack_q8s256_q4b32ms256_avx2(const UnpackArgs* args) {
  avx2::unpack_ms256<15, UnitQ4B32MS256>(args);
}

// About 15 instructions per 32 weights.
extern "C" void unpack_q8s256_q5b32ms256_avx2(const UnpackArgs* args) {
  avx2::unpack_ms256<31, UnitQ5B32MS256>(args);
}

// About 14 instructions per 32 weights.
extern "C" void unpack_q8s256_q6b16s256_avx2(const UnpackArgs* args) {
  avx2::unpack_q6b16s256(args);
}

}  // namespace midge
