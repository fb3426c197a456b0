// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ8B32 (kernels/packed.h), 1088 B per 32 rows x 32
// columns. The product of signed bytes is avx2::dot_signed.
//
// Registers, per 16 rows: 2 int32 sums for each of up to 4 tokens, 2 weights, 2 magnitudes, 1
// broadcast, 1 product, 1 constant.
// Per unit: 17 lines, 32 (2 + 4 m) + 30 m instructions for 1024 m multiply-adds; m = 1 is bound by
// memory, more by instructions.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

namespace midge {
namespace {

template <int kRows>
void gemv(const GemvArgs* args) {
  const int64_t units = (args->k + 31) / 32;
  const auto* unit = static_cast<const UnitQ8B32*>(args->rhs);
  for (int64_t column = 0; column < args->n; column += kTileRows) {
    avx2::TileSums<kRows> sums;
    avx2::clear_sums(args, sums);
    for (int64_t b = 0; b < units; ++b, ++unit) {
      x86::prefetch_stream(unit->scales);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 2
        for (int first = 0; first < kRows; first += avx2::kGroup) {
          const int count = kRows - first < avx2::kGroup ? kRows - first : avx2::kGroup;
          __m256i low[avx2::kGroup];
          __m256i high[avx2::kGroup];
#pragma GCC unroll 4
          for (int i = 0; i < count; ++i) low[i] = high[i] = _mm256_setzero_si256();
#pragma GCC unroll 8
          for (int g = 0; g < 8; ++g) {
            if (first == 0) x86::prefetch_stream(unit->values[g][half]);
            const __m256i weights_low = avx2::load_stream(unit->values[g][half]);
            const __m256i weights_high = avx2::load_stream(unit->values[g][half] + 32);
            const __m256i magnitudes_low = _mm256_abs_epi8(weights_low);
            const __m256i magnitudes_high = _mm256_abs_epi8(weights_high);
#pragma GCC unroll 4
            for (int i = 0; i < count; ++i) {
              const LhsBlock& block = reinterpret_cast<const LhsBlock*>(sums.lhs[first + i])[b];
              const __m256i values = avx2::broadcast_group(block.values + 4 * g);
              low[i] =
                  _mm256_add_epi32(low[i], avx2::dot_signed(weights_low, magnitudes_low, values));
              high[i] = _mm256_add_epi32(high[i],
                                         avx2::dot_signed(weights_high, magnitudes_high, values));
              avx2::settle(low[i], high[i]);
            }
          }
          const __m256 scales_low = avx2::load_f16(unit->scales + 16 * half);
          const __m256 scales_high = avx2::load_f16(unit->scales + 16 * half + 8);
#pragma GCC unroll 4
          for (int i = 0; i < count; ++i) {
            const LhsBlock& block = reinterpret_cast<const LhsBlock*>(sums.lhs[first + i])[b];
            const __m256 scale = _mm256_set1_ps(block.scale);
            __m256(&sum)[4] = sums.registers[first + i];
            sum[2 * half] = avx2::add_block(sum[2 * half], low[i], scales_low, scale);
            sum[2 * half + 1] = avx2::add_block(sum[2 * half + 1], high[i], scales_high, scale);
          }
        }
      }
    }
    avx2::store_sums(args, column, sums);
  }
}

}  // namespace

void gemv_f32_q8b32_q8b32_8x32_avx2(const GemvArgs* args) {
  switch (args->m) {
    case 1: return gemv<1>(args);
    case 2: return gemv<2>(args);
    case 3: return gemv<3>(args);
    case 4: return gemv<4>(args);
    case 5: return gemv<5>(args);
    case 6: return gemv<6>(args);
    case 7: return gemv<7>(args);
    default: return gemv<8>(args);
  }
}

}  // namespace midge
