// 32 rows x 256 columns of UnitQ4B32S256 as a panel [64 groups of 4 columns][32 rows][4] of int8,
// value = s * (q - 8), exact.
//
// s * q <= 225 fits a byte, so one 16-bit product with s serves two columns; 8 * s is taken from
// it. 9 instructions and 2 stores per 32 bytes of nibbles.
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx2.h"

namespace midge {
namespace {

// s in both 16-bit halves of its lane, and 8 * s in all four bytes.
struct SubScales {
  __m256i factors;
  __m256i eights;
};
SubScales spread(__m256i lanes) {
  const __m256i factors = _mm256_or_si256(lanes, _mm256_slli_epi32(lanes, 16));
  return {factors, _mm256_mullo_epi16(factors, _mm256_set1_epi16(0x0808))};
}

__m256i multiply(__m256i nibbles, const SubScales& scales) {
  return _mm256_sub_epi8(_mm256_mullo_epi16(nibbles, scales.factors), scales.eights);
}

}  // namespace

void unpack_q8s256_q4b32s256_avx2(const UnpackArgs* args) {
  const auto* unit = static_cast<const UnitQ4B32S256*>(args->rhs);
  for (int j = 0; j < 4; ++j) {
    _mm256_storeu_ps(args->scales + 8 * j, avx2::load_f16(unit->scales + 8 * j));
  }
  const __m256i low_nibbles = _mm256_set1_epi8(0x0F);
  const __m256i sign_bits = _mm256_set1_epi8(0x08);
  for (int64_t b = 0; b < 8; ++b) {
    for (int half = 0; half < 2; ++half) {
      const __m256i sub_scales = _mm256_cvtepu8_epi32(
          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(unit->sub_scales[b] + 8 * half)));
      const SubScales scales_low = spread(_mm256_and_si256(sub_scales, _mm256_set1_epi32(15)));
      const SubScales scales_high = spread(_mm256_srli_epi32(sub_scales, 4));
      int8_t* panel = args->panel + b * 32 * kTileRows + 32 * half;
      for (int g = 0; g < 8; ++g, panel += 128) {
        const __m256i line = avx2::load_stream(unit->nibbles[b][g] + 32 * half);
        const __m256i low = _mm256_and_si256(line, low_nibbles);
        const __m256i high =
            _mm256_xor_si256(_mm256_and_si256(_mm256_srli_epi16(line, 4), low_nibbles), sign_bits);
        avx2::store_panel(panel, multiply(low, scales_low));
        avx2::store_panel(panel + 64, multiply(high, scales_high));
      }
    }
  }
}

}  // namespace midge
