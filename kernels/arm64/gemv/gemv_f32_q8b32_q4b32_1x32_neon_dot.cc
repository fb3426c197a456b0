#include "kernels/arm64/gemv/finish_tile.h"
#include "kernels/kernels.h"

extern "C" void midge_gemv_q4b32_1x32_neon_dot_tile(const midge::LhsBlock* lhs,
                                                    const midge::UnitQ4B32* tile, int64_t units,
                                                    float* out);

// The assembly beside this file computes the tiles.
void midge::gemv_f32_q8b32_q4b32_1x32_neon_dot(const GemvArgs* args) {
  const auto* lhs = static_cast<const LhsBlock*>(args->lhs);
  const auto* tile = static_cast<const UnitQ4B32*>(args->rhs);
  const int64_t units = (args->k + 31) / 32;
  for (int64_t column = 0; column < args->n; column += kTileRows, tile += units) {
    float sums[kTileRows];
    midge_gemv_q4b32_1x32_neon_dot_tile(lhs, tile, units, sums);
    arm64::finish_tile(args, 0, column, sums);
  }
}
