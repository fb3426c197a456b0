// 32 rows x 256 columns of UnitQ8B32 as a panel [64 groups of 4 columns][32 rows][4] of int8; the
// rounding is that of kernels/generic/panel/panel.h. 10 instructions per 32 weights.
#include "kernels/generic/panel/panel.h"
#include "kernels/kernels.h"
#include "kernels/x86_64/panel/unpack_avx2.h"

void midge::unpack_q8s256_q8b32_avx2(const UnpackArgs* args) {
  const auto* units = static_cast<const UnitQ8B32*>(args->rhs);
  const int64_t blocks = (args->k + 31) / 32;
  __m256 largest[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                       _mm256_setzero_ps()};
  __m256 factors[4];
  for (int64_t b = 0; b < blocks; ++b) avx2::update_largest(units[b].scales, largest);
  avx2::finish_scales(largest, generic::kQ8Unit, generic::kQ8MultiplierMax, args->scales, factors);

  for (int64_t b = 0; b < blocks; ++b) {
    __m256i multipliers[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      multipliers[j] = avx2::row_multipliers(units[b].scales + 8 * j, factors[j]);
    }
    int8_t* panel = args->panel + b * 32 * kTileRows;
    for (int g = 0; g < 8; ++g, panel += 128) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m256i values = avx2::load_stream(units[b].values[g][j / 2] + 32 * (j % 2));
        avx2::store_panel(panel + 32 * j, avx2::multiply_q15(values, multipliers[j]));
      }
    }
  }
  const int64_t done = blocks * 32 * kTileRows;
  std::memset(args->panel + done, 0, static_cast<size_t>(kPanelBytes - done));
}
