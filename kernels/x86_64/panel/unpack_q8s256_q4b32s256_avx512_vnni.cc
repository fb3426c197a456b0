// 32 rows x 256 columns of UnitQ4B32S256 as a panel [64 groups of 4 columns][32 rows][4] of
// value + 128, value = s * (q - 8), exact.
//
// s * q <= 225 fits a byte, so one 16-bit product with s serves two columns; 128 - 8 * s is added
// to it. 9 instructions and 2 stores per 64 bytes of nibbles.
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx512.h"

namespace midge {
namespace {

// s in both 16-bit halves of its lane, and 128 - 8 * s in all four bytes.
struct SubScales {
  __m512i factors;
  __m512i offsets;
};
SubScales spread(__m512i lanes) {
  const __m512i factors = _mm512_or_si512(lanes, _mm512_slli_epi32(lanes, 16));
  const __m512i eights = _mm512_mullo_epi16(factors, _mm512_set1_epi16(0x0808));
  return {factors, _mm512_sub_epi8(_mm512_set1_epi8(static_cast<char>(0x80)), eights)};
}

__m512i multiply(__m512i nibbles, const SubScales& scales) {
  return _mm512_add_epi8(_mm512_mullo_epi16(nibbles, scales.factors), scales.offsets);
}

}  // namespace

void unpack_q8s256_q4b32s256_avx512_vnni(const UnpackArgs* args) {
  const auto* unit = static_cast<const UnitQ4B32S256*>(args->rhs);
  const avx512::RowPair scales = avx512::load_f16(unit->scales);
  _mm512_storeu_ps(args->scales, scales.low);
  _mm512_storeu_ps(args->scales + 16, scales.high);

  const __m512i low_nibbles = _mm512_set1_epi8(0x0F);
  const __m512i sign_bits = _mm512_set1_epi8(0x08);
  int8_t* panel = args->panel;
  for (int64_t b = 0; b < 8; ++b) {
    const __m512i sub_scales =
        _mm512_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(unit->sub_scales[b])));
    const SubScales scales_low = spread(_mm512_and_si512(sub_scales, _mm512_set1_epi32(15)));
    const SubScales scales_high = spread(_mm512_srli_epi32(sub_scales, 4));
    for (int g = 0; g < 8; ++g, panel += 128) {
      const __m512i line = avx512::load_stream(unit->nibbles[b][g]);
      const __m512i low = _mm512_and_si512(line, low_nibbles);
      // (line >> 4 & 0x0F) ^ 8
      const __m512i high =
          _mm512_ternarylogic_epi32(_mm512_srli_epi16(line, 4), low_nibbles, sign_bits, 0x6A);
      _mm512_store_si512(panel, multiply(low, scales_low));
      _mm512_store_si512(panel + 64, multiply(high, scales_high));
    }
  }
}

}  // namespace midge
