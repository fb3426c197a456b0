#include "kernels/arm64/gemv/gemv_q4b32_neon_dot.h"
#include "kernels/kernels.h"

extern "C" void midge_gemv_q4b32_4x32_neon_i8mm_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                                    const midge::UnitQ4B32* tile, int64_t units,
                                                    midge::arm64::GroupSums* sums);

// Chunks of 32 units are 18 KB. With fewer than 4 rows smmla would not pay; this level has sdot.
void midge::gemv_f32_q8b32_q4b32_8x32_neon_i8mm(const GemvArgs* args) {
  arm64::gemv_groups<32, 1>(args, (args->k + 31) / 32, midge_gemv_q4b32_1x32_neon_dot_add,
                            midge_gemv_q4b32_2x32_neon_dot_add,
                            midge_gemv_q4b32_4x32_neon_i8mm_add);
}
