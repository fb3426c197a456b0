// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T)
// lhs: [m][256] int8. panel: [64 groups of 4 columns][32 rows][4] int8.
//
// Tile: 4 tokens x 16 rows, twice. Registers: 8 int32 sums, 2 weights, 2 magnitudes, 1 broadcast,
// 1 product, 1 constant.
// Per group and 16 rows: 2 loads, 2 magnitudes, 4 broadcasts, 8 times sign, maddubs, madd and add
// (avx2::dot_signed) for 256 multiply-adds: bound by the two multiply ports, 32 multiply-adds per
// cycle on Zen 4.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add.
#include "kernels/kernels.h"
#include "kernels/x86_64/avx2.h"

namespace midge {
namespace {

// kTokens tokens from `token` on, rows 16 * half..16 * half + 15.
template <int kTokens>
void multiply(const GemmPanelArgs* args, int64_t token, int half) {
  const int8_t* lhs = args->lhs + token * kPanelColumns;
  const int8_t* panel = args->panel + 64 * half;
  __m256i low[kTokens];
  __m256i high[kTokens];
#pragma GCC unroll 4
  for (int i = 0; i < kTokens; ++i) low[i] = high[i] = _mm256_setzero_si256();
#pragma GCC unroll 2
  for (int64_t g = 0; g < kPanelColumns / 4; ++g) {
    const __m256i weights_low = avx2::load_stream(panel + 128 * g);
    const __m256i weights_high = avx2::load_stream(panel + 128 * g + 32);
    const __m256i magnitudes_low = _mm256_abs_epi8(weights_low);
    const __m256i magnitudes_high = _mm256_abs_epi8(weights_high);
#pragma GCC unroll 4
    for (int i = 0; i < kTokens; ++i) {
      const __m256i values = avx2::broadcast_group(lhs + kPanelColumns * i + 4 * g);
      low[i] = _mm256_add_epi32(low[i], avx2::dot_signed(weights_low, magnitudes_low, values));
      high[i] = _mm256_add_epi32(high[i], avx2::dot_signed(weights_high, magnitudes_high, values));
    }
  }
  const __m256 scales_low = _mm256_loadu_ps(args->panel_scales + 16 * half);
  const __m256 scales_high = _mm256_loadu_ps(args->panel_scales + 16 * half + 8);
#pragma GCC unroll 4
  for (int i = 0; i < kTokens; ++i) {
    float* acc = args->acc + (token + i) * kTileRows + 16 * half;
    const __m256 scale = _mm256_set1_ps(args->lhs_scales[token + i]);
    const __m256 sum_low = args->first ? _mm256_setzero_ps() : _mm256_load_ps(acc);
    const __m256 sum_high = args->first ? _mm256_setzero_ps() : _mm256_load_ps(acc + 8);
    _mm256_store_ps(acc, avx2::add_block(sum_low, low[i], scales_low, scale));
    _mm256_store_ps(acc + 8, avx2::add_block(sum_high, high[i], scales_high, scale));
  }
}

}  // namespace

void gemm_panel_f32_q8s256_q8s256_4x32_avx2(const GemmPanelArgs* args) {
  for (int half = 0; half < 2; ++half) {
    int64_t token = 0;
    for (; token + 4 <= args->m; token += 4) multiply<4>(args, token, half);
    switch (args->m - token) {
      case 1: multiply<1>(args, token, half); break;
      case 2: multiply<2>(args, token, half); break;
      case 3: multiply<3>(args, token, half); break;
      default: break;
    }
  }
}

}  // namespace midge
