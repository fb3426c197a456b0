// 32 rows x 256 columns of UnitQ6B16S256 as a panel [64 groups of 4 columns][32 rows][4] of value +
// 128; the rounding is that of kernels/generic/panel/unpack_s256.h. 13 instructions and 1 store per
// 64 weights.
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_s256_avx512.h"

namespace midge {
namespace {

// Of rows 16 * half.. of a tile.
avx512::RunScales load_run(const UnitQ6B16S256& unit, int run, int half) {
  const avx512::RowPair scales = avx512::load_f16(unit.scales);
  const __m512 factors = _mm512_cvtepi32_ps(avx512::load_i8(unit.sub_scales[run] + 16 * half));
  return {_mm512_mul_ps(half == 0 ? scales.low : scales.high, factors), _mm512_setzero_ps()};
}

}  // namespace

void unpack_q8s256_q6b16s256_avx512_vnni(const UnpackArgs* args) {
  const auto& unit = *static_cast<const UnitQ6B16S256*>(args->rhs);
  __m512 factors[2];
  for (int half = 0; half < 2; ++half) {
    __m512 largest = _mm512_setzero_ps();
    for (int run = 0; run < 16; ++run) {
      largest = avx512::max_magnitude<-32, 31>(load_run(unit, run, half), largest);
    }
    factors[half] = avx512::finish_scales(largest, args->scales + 16 * half);
  }
  int8_t* panel = args->panel;
  for (int run = 0; run < 16; ++run) {
    const auto low = avx512::run_integers<-32>(load_run(unit, run, 0), factors[0]);
    const auto high = avx512::run_integers<-32>(load_run(unit, run, 1), factors[1]);
    for (int p = 0; p < 2; ++p, panel += 256) {
      avx512::Weights lines[2];
      avx512::load_weights(unit.groups[run / 2][run % 2 * 2 + p], lines);
      _mm512_store_si512(panel, avx512::panel_bytes(lines[0].low, low));
      _mm512_store_si512(panel + 64, avx512::panel_bytes(lines[0].high, high));
      _mm512_store_si512(panel + 128, avx512::panel_bytes(lines[1].low, low));
      _mm512_store_si512(panel + 192, avx512::panel_bytes(lines[1].high, high));
    }
  }
}

}  // namespace midge
