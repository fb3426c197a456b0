// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ8B32 (kernels/packed.h), 1088 B per 32 rows x 32
// columns. The product of signed bytes is avx2::dot_signed.
//
// Registers, per 16 rows: 2 int32 sums for each of up to 4 tokens, 2 weights, 2 magnitudes, 1
// broadcast, 1 product, 1 constant.
// Per unit: 17 lines, 32 (2 + 4 m) + 30 m instructions for 1024 m multiply-adds; m = 1 is bound by
// memory, more by instructions.
// Rounding: integer sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx2.h"

namespace midge {
namespace {

template <int kRows>
__attribute__((always_inline)) inline void add_unit(const UnitQ8B32& unit, int64_t b,
                                                    avx2::TileSums<kRows>& sums) {
  x86::request_ahead(&unit, unit.values);
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
        // In order, while the lines that are read are every second one.
        const auto& line = unit.values[4 * half + g / 2][g % 2];
        if (first == 0) x86::request_ahead(line, line + sizeof(line));
        const __m256i weights_low = avx2::load_stream(unit.values[g][half]);
        const __m256i weights_high = avx2::load_stream(unit.values[g][half] + 32);
        const __m256i magnitudes_low = _mm256_abs_epi8(weights_low);
        const __m256i magnitudes_high = _mm256_abs_epi8(weights_high);
#pragma GCC unroll 4
        for (int i = 0; i < count; ++i) {
          const LhsBlock& block = avx2::lhs_block(sums.lhs[first + i], b);
          const __m256i values = avx2::broadcast_group(block.values + 4 * g);
          low[i] = _mm256_add_epi32(low[i], avx2::dot_signed(weights_low, magnitudes_low, values));
          high[i] =
              _mm256_add_epi32(high[i], avx2::dot_signed(weights_high, magnitudes_high, values));
          avx2::settle(low[i], high[i]);
        }
      }
      const __m256 scales_low = avx2::load_f16(unit.scales + 16 * half);
      const __m256 scales_high = avx2::load_f16(unit.scales + 16 * half + 8);
#pragma GCC unroll 4
      for (int i = 0; i < count; ++i) {
        const LhsBlock& block = avx2::lhs_block(sums.lhs[first + i], b);
        const __m256 scale = _mm256_set1_ps(block.scale);
        __m256(&sum)[4] = sums.registers[first + i];
        sum[2 * half] = avx2::add_block(sum[2 * half], low[i], scales_low, scale);
        sum[2 * half + 1] = avx2::add_block(sum[2 * half + 1], high[i], scales_high, scale);
      }
    }
  }
}

}  // namespace

extern "C" void gemv_f32_q8b32_q8b32_8x32_avx2(const GemvArgs* args) {
  x86::gemv_by_units<avx2::TileSums, UnitQ8B32, 32>(
      args, [](const UnitQ8B32& unit, int64_t b, auto& sums) { add_unit(unit, b, sums); });
}

}  // namespace midge
