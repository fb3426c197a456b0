// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend), m = 1..8
// lhs: LhsBlock per 32 columns. rhs: tiles of UnitQ4B32 (kernels/packed.h), 576 B per 32 rows x 32
// columns. The product is avx512::add_nibbles.
//
// A tuning variant of gemv_f32_q8b32_q4b32_8x32_avx512_vnni: weights are read once, so from
// x86::kAheadRows rows on they are asked for with prefetchnta, which does not put them into the
// second cache level. As far ahead as there (x86::kAheadBytes); with fewer rows the two are the
// same.
#include "kernels/kernels.h"
#include "kernels/x86_64/gemv/gemv_avx512.h"

namespace midge {
namespace {

template <int kRows>
void request_once(const UnitQ4B32& unit) {
  if constexpr (kRows >= x86::kAheadRows) {
    const auto* end = reinterpret_cast<const char*>(&unit + 1);
    for (auto* line = reinterpret_cast<const char*>(&unit); line < end; line += 64) {
      asm volatile("prefetchnta %c1(%0)" : : "r"(line), "i"(x86::kAheadBytes));
    }
  }
}

}  // namespace
}  // namespace midge

void midge::gemv_f32_q8b32_q4b32_8x32_avx512_vnni_nta(const GemvArgs* args) {
  x86::gemv_by_units<avx512::TileSums, UnitQ4B32, 32>(
      args, []<int kRows>(const UnitQ4B32& unit, int64_t b, avx512::TileSums<kRows>& sums) {
        request_once<kRows>(unit);
        avx512::add_nibbles(unit.nibbles, b, avx512::load_f16(unit.scales), sums);
      });
}
