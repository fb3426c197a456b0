// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T)
// lhs: [m][256] int8. panel: [64 groups of 4 columns][32 rows][4] of value + 128, as vpdpbusd takes
// its first factor unsigned; an accumulator starts at -128 * (sum of the activations) for it.
//
// Tile: 8 tokens x 32 rows. Registers: 16 int32 sums, 2 weights, 1 broadcast.
// Per group: 2 loads of weights, 8 broadcasts, 16 vpdpbusd = 1024 multiply-adds: bound by vpdpbusd
// (one of 512 bits per cycle on Zen 4), for the panel (8 KiB) and 8 tokens (2 KiB) stay in the
// first cache level. The scales come once per 256 columns and cost 3 %. Rounding: int32 sums are
// exact; one product of the scales and one fused multiply-add.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/avx512.h"

namespace midge {
namespace {

template <int kTokens>
void multiply(const GemmPanelArgs* args, int64_t token) {
  const int8_t* lhs = args->lhs + token * kPanelColumns;
  const int8_t* panel = args->panel;
  __m512i low[kTokens];
  __m512i high[kTokens];
#pragma GCC unroll 8
  for (int i = 0; i < kTokens; ++i) {
    low[i] = high[i] = _mm512_set1_epi32(-128 * args->lhs_sums[token + i]);
  }
#pragma GCC unroll 4
  for (int64_t g = 0; g < kPanelColumns / 4; ++g) {
    const __m512i weights_low = _mm512_load_si512(panel + 128 * g);
    const __m512i weights_high = _mm512_load_si512(panel + 128 * g + 64);
#pragma GCC unroll 8
    for (int i = 0; i < kTokens; ++i) {
      const __m512i values = avx512::broadcast_group(lhs + kPanelColumns * i + 4 * g);
      low[i] = _mm512_dpbusd_epi32(low[i], weights_low, values);
      high[i] = _mm512_dpbusd_epi32(high[i], weights_high, values);
    }
  }
  const __m512 scales_low = _mm512_loadu_ps(args->panel_scales);
  const __m512 scales_high = _mm512_loadu_ps(args->panel_scales + 16);
#pragma GCC unroll 8
  for (int i = 0; i < kTokens; ++i) {
    float* acc = args->acc + (token + i) * kTileRows;
    const __m512 scale = _mm512_set1_ps(args->lhs_scales[token + i]);
    const __m512 sum_low = args->first ? _mm512_setzero_ps() : _mm512_load_ps(acc);
    const __m512 sum_high = args->first ? _mm512_setzero_ps() : _mm512_load_ps(acc + 16);
    _mm512_store_ps(acc, avx512::add_block(sum_low, low[i], scales_low, scale));
    _mm512_store_ps(acc + 16, avx512::add_block(sum_high, high[i], scales_high, scale));
  }
}

}  // namespace

extern "C" void gemm_panel_f32_q8s256_q8s256_8x32_avx512_vnni(const GemmPanelArgs* args) {
  int64_t token = 0;
  for (; token + 8 <= args->m; token += 8) multiply<8>(args, token);
  switch (args->m - token) {
    case 1: return multiply<1>(args, token);
    case 2: return multiply<2>(args, token);
    case 3: return multiply<3>(args, token);
    case 4: return multiply<4>(args, token);
    case 5: return multiply<5>(args, token);
    case 6: return multiply<6>(args, token);
    case 7: return multiply<7>(args, token);
    default: return;
  }
}

}  // namespace midge
