// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ8B32 (kernels/packed.h), 1088 B per 32 rows x 32
// columns.
//
// vpdpbusd takes weights unsigned: value ^ 0x80 = value + 128, and the sums start at -128 * (sum of
// the activations), 16 times the correction.
// Registers: 2 m int32 and 2 m f32 sums, 2 weights, 1 broadcast, 1 mask.
// Per unit: 17 lines, 16 m vpdpbusd = 1024 m multiply-adds; bound by memory.
// Rounding: int32 sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {
namespace {

template <int kRows>
__attribute__((always_inline)) inline void add_unit(const UnitQ8B32& unit, int64_t b,
                                                    avx512::TileSums<kRows>& sums) {
  // Twice the bytes of nibbles for as many products.
  x86::request_ahead_from<kRows, 8>(&unit, &unit + 1);
  const __m512i sign_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  const avx512::RowPair scales = avx512::load_f16(unit.scales);
  __m512i low[kRows];
  __m512i high[kRows];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const LhsBlock& block = avx512::lhs_block(sums.lhs[i], b);
    low[i] = high[i] = _mm512_slli_epi32(_mm512_set1_epi32(block.correction), 4);
  }
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    const __m512i weights_low = _mm512_xor_si512(avx512::load_stream(unit.values[g][0]), sign_bits);
    const __m512i weights_high =
        _mm512_xor_si512(avx512::load_stream(unit.values[g][1]), sign_bits);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const LhsBlock& block = avx512::lhs_block(sums.lhs[i], b);
      const __m512i values = avx512::broadcast_group(block.values + 4 * g);
      low[i] = _mm512_dpbusd_epi32(low[i], weights_low, values);
      high[i] = _mm512_dpbusd_epi32(high[i], weights_high, values);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const LhsBlock& block = avx512::lhs_block(sums.lhs[i], b);
    const __m512 scale = _mm512_set1_ps(block.scale);
    sums.low[i] = avx512::add_block(sums.low[i], low[i], scales.low, scale);
    sums.high[i] = avx512::add_block(sums.high[i], high[i], scales.high, scale);
  }
}

}  // namespace

extern "C" void gemv_f32_q8b32_q8b32_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<avx512::TileSums, UnitQ8B32, 32>(
      args, [](const UnitQ8B32& unit, int64_t b, auto& sums) { add_unit(unit, b, sums); });
}

}  // namespace midge
