// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T)
// lhs: [m][256] int8. panel: [64 groups of 4 columns][32 rows][4] int8.
//
// 32 tokens x 32 rows at a time, in 4 steps of 64 columns. Tiles, of 16 rows of 64 bytes:
//
//                        panel rows 0..15: tmm6   16..31: tmm7      lhs: 16 tokens x 64 columns
//   tokens  0..15: tmm4         tmm0                 tmm1           panel: 16 groups x 16 rows x 4
//   tokens 16..31: tmm5         tmm2                 tmm3           sums: 16 tokens x 16 rows int32
//
// Per step: 4 tile loads (64 lines of 64 bytes) and 4 tdpbssd = 65,536 multiply-adds, 64 cycles of
// the one unit that multiplies tiles: the limit aimed at. The sums of a tile reach vector registers
// through memory only, and 64 vectors of them are to be converted, scaled and added to acc per 16
// tdpbssd; so each step adds 8 tokens of the 32 before, which the core does beside the products.
// The panel (8 KiB) and the sums (4 KiB) stay in the first cache level, lhs and acc pass through.
//
// Fewer tokens than a whole number of 32: the last 32 are taken, and those of them that were done
// are not added again. Fewer than 32 in all: the two halves overlap, below 16 they are the same.
// Rounding: int32 sums are exact; one product of the scales and one fused multiply-add.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/amx.h"
#include "kernels/x86_64/avx512.h"

namespace midge {
namespace {

constexpr int64_t kTokensMax = 32;
constexpr int64_t kTileTokensMax = 16;
constexpr int64_t kTileBytes = 64;  // of a row of a tile
constexpr int64_t kSteps = kPanelColumns / kTileBytes;
constexpr int64_t kPanelStride = kTileRows * 4;
constexpr int64_t kSumsStride = kTileRows * 4;

// Sums that tiles left in memory and that are still to be added to acc.
struct Pending {
  const int32_t (*sums)[kTileRows];
  const float* lhs_scales;
  float (*acc)[kTileRows];
  int64_t tokens;
};

// Adds the sums of `count` tokens, or of those that are left.
template <bool kFirst>
__attribute__((always_inline)) static inline void add_tokens(avx512::RowPair panel_scales,
                                                             int64_t count, Pending* pending) {
  Pending p = *pending;
  for (const int64_t end = p.tokens < count ? 0 : p.tokens - count; p.tokens > end; --p.tokens) {
    float* acc = *p.acc++;
    const int32_t* sums = *p.sums++;
    const __m512 scale = _mm512_set1_ps(*p.lhs_scales++);
    const __m512 low = kFirst ? _mm512_setzero_ps() : _mm512_load_ps(acc);
    const __m512 high = kFirst ? _mm512_setzero_ps() : _mm512_load_ps(acc + 16);
    const __m512i sum_low = _mm512_load_si512(sums);
    const __m512i sum_high = _mm512_load_si512(sums + 16);
    _mm512_store_ps(acc, avx512::add_block(low, sum_low, panel_scales.low, scale));
    _mm512_store_ps(acc + 16, avx512::add_block(high, sum_high, panel_scales.high, scale));
  }
  *pending = p;
}

template <bool kFirst>
static inline void multiply(const GemmPanelArgs* args, int64_t tokens, int64_t tile_tokens) {
  alignas(64) int32_t sums[kTokensMax][kTileRows];
  const avx512::RowPair panel_scales = {_mm512_loadu_ps(args->panel_scales),
                                        _mm512_loadu_ps(args->panel_scales + 16)};
  // Copies, because what is stored in acc could be *args for all that the compiler knows.
  const int64_t m = args->m;
  const int8_t* const lhs = args->lhs;
  const int8_t* const panel = args->panel;
  const float* const lhs_scales = args->lhs_scales;
  auto* const acc = reinterpret_cast<float(*)[kTileRows]>(args->acc);
  const int64_t second = tokens - tile_tokens;
  Pending pending = {sums, lhs_scales, acc, 0};
  for (int64_t done = 0; done < m;) {
    const int64_t first = done + tokens <= m ? done : m - tokens;
    const int8_t* lhs_0 = lhs + first * kPanelColumns;
    const int8_t* lhs_1 = lhs_0 + second * kPanelColumns;
    amx::zero<0>();
    amx::zero<1>();
    amx::zero<2>();
    amx::zero<3>();
#pragma GCC unroll 4
    for (int64_t step = 0; step < kSteps; ++step) {
      const int8_t* rhs = panel + step * (kTileBytes / 4 * kPanelStride);
      amx::load<4>(lhs_0 + step * kTileBytes, kPanelColumns);
      amx::load<6>(rhs, kPanelStride);
      amx::multiply<0, 4, 6>();
      amx::load<7>(rhs + kTileBytes, kPanelStride);
      amx::multiply<1, 4, 7>();
      amx::load<5>(lhs_1 + step * kTileBytes, kPanelColumns);
      amx::multiply<2, 5, 6>();
      amx::multiply<3, 5, 7>();
      add_tokens<kFirst>(panel_scales, kTokensMax / kSteps, &pending);
    }
    amx::store<0>(sums[0], kSumsStride);
    amx::store<1>(sums[0] + 16, kSumsStride);
    amx::store<2>(sums[second], kSumsStride);
    amx::store<3>(sums[second] + 16, kSumsStride);
    pending = {sums + (done - first), lhs_scales + done, acc + done, first + tokens - done};
    done = first + tokens;
  }
  add_tokens<kFirst>(panel_scales, kTokensMax, &pending);
}

}  // namespace

extern "C" void gemm_panel_f32_q8s256_q8s256_32x32_amx(const GemmPanelArgs* args) {
  if (args->m == 0) return;
  const int64_t tokens = args->m < kTokensMax ? args->m : kTokensMax;
  const int64_t tile_tokens = tokens < kTileTokensMax ? tokens : kTileTokensMax;
  amx::TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = kTileBytes;
    config.rows[tile] = static_cast<uint8_t>(tile < 6 ? tile_tokens : 16);
  }
  amx::configure(config);
  if (args->first) {
    multiply<true>(args, tokens, tile_tokens);
  } else {
    multiply<false>(args, tokens, tile_tokens);
  }
  amx::release();
}

}  // namespace midge
