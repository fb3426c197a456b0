// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T)
// lhs: [m][256] int8. panel: [64 groups of 4 columns][32 rows][4] int8.
//
// Both factors are widened to int16 first, the panel (to 16 KiB, which stay in the first cache
// level) once per call and the activations once per 4 tokens and call; a product is then vpmaddwd
// and an addition. On bytes it is vpsignb, vpmaddubsw, vpmaddwd and an addition, for twice as many
// multiply-adds but with three instructions for two ports.
// Tile: 4 tokens x 8 rows. Registers: 8 int32 sums, each of the two pairs of columns of 4 rows, 2
// weights, 1 broadcast, 1 product.
// Per group and 8 rows: 2 loads, 4 broadcasts, 8 times madd and add for 128 multiply-adds: 4 cycles
// of two multiply ports and of four vector ports. Zen 4 takes 4.9 for these alone and 5.7 in all.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/avx2.h"

namespace midge {
namespace {

// to[count] = from[count]; count: a multiple of 16.
void widen(const int8_t* from, int64_t count, int16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + i), _mm256_cvtepi8_epi16(bytes));
  }
}

// 4 columns of activations in every 64 bits.
__m256i broadcast_group(const int16_t* values) {
  int64_t group;
  std::memcpy(&group, values, sizeof(group));
  return _mm256_set1_epi64x(group);
}

// kTokens tokens from `token` on, rows 8 * part..8 * part + 7.
template <int kTokens>
void multiply(const GemmPanelArgs* args, const int16_t* lhs, const int16_t* panel, int64_t token,
              int part) {
  __m256i low[kTokens];   // rows 0..3
  __m256i high[kTokens];  // rows 4..7
#pragma GCC unroll 4
  for (int i = 0; i < kTokens; ++i) low[i] = high[i] = _mm256_setzero_si256();
  const int16_t* weights = panel + 32 * part;
#pragma GCC unroll 4
  for (int64_t g = 0; g < kPanelColumns / 4; ++g) {
    const __m256i weights_low = avx2::load_stream(weights + 128 * g);
    const __m256i weights_high = avx2::load_stream(weights + 128 * g + 16);
#pragma GCC unroll 4
    for (int i = 0; i < kTokens; ++i) {
      const __m256i values = broadcast_group(lhs + kPanelColumns * i + 4 * g);
      low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(weights_low, values));
      high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(weights_high, values));
    }
  }
  const __m256 scales = _mm256_loadu_ps(args->panel_scales + 8 * part);
#pragma GCC unroll 4
  for (int i = 0; i < kTokens; ++i) {
    // Rows 0, 1, 4, 5, 2, 3, 6, 7.
    const __m256i sums = _mm256_hadd_epi32(low[i], high[i]);
    const __m256i in_order = _mm256_permute4x64_epi64(sums, 0xD8);
    float* acc = args->acc + (token + i) * kTileRows + 8 * part;
    const __m256 sum = args->first ? _mm256_setzero_ps() : _mm256_load_ps(acc);
    const __m256 scale = _mm256_set1_ps(args->lhs_scales[token + i]);
    _mm256_store_ps(acc, avx2::add_block(sum, in_order, scales, scale));
  }
}

// kTokens tokens from `token` on, all rows.
template <int kTokens>
void multiply_rows(const GemmPanelArgs* args, const int16_t* panel, int64_t token) {
  alignas(64) int16_t lhs[kTokens * kPanelColumns];
  widen(args->lhs + token * kPanelColumns, kTokens * kPanelColumns, lhs);
  for (int part = 0; part < 4; ++part) multiply<kTokens>(args, lhs, panel, token, part);
}

}  // namespace

extern "C" void gemm_panel_f32_q8s256_q8s256_4x32_avx2(const GemmPanelArgs* args) {
  alignas(64) int16_t panel[kPanelBytes];
  widen(args->panel, kPanelBytes, panel);
  int64_t token = 0;
  for (; token + 4 <= args->m; token += 4) multiply_rows<4>(args, panel, token);
  switch (args->m - token) {
    case 1: return multiply_rows<1>(args, panel, token);
    case 2: return multiply_rows<2>(args, panel, token);
    case 3: return multiply_rows<3>(args, panel, token);
    default: return;
  }
}

}  // namespace midge
