// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns. The product is avx512::add_nibbles.
//
// Registers: 2 m int32 and 2 m f32 sums, 2 weights, 1 broadcast, 2 masks; m = 8 needs a few more
// than there are, which costs a dozen spills per unit. Per unit: 9 loads (from m = 4 on 9
// prefetches, see request_ahead_from), 16 m vpdpbusd = 1024 m multiply-adds. Bound by memory up to
// m = 4; m = 8 by the two multiply ports of Zen 4 (16 + 4 cycles per token and unit). Rounding:
// int32 sums are exact; one product of the scales and one fused multiply-add per block.
#include "kernels/kernel_types.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {

extern "C" void gemv_f32_q8b32_q4b32_8x32_avx512_vnni(const GemvArgs* args) {
  x86::gemv_by_units<avx512::TileSums, UnitQ4B32, 32>(
      args, []<int kRows>(const UnitQ4B32& unit, int64_t b, avx512::TileSums<kRows>& sums) {
        x86::request_ahead_from<kRows>(&unit, &unit + 1);
        avx512::add_nibbles(unit.nibbles, b, avx512::load_f16(unit.scales), sums);
      });
}

}  // namespace midge
