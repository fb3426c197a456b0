#include "kernels/arm64/gemv/gemv_groups.h"
#include "kernels/kernels.h"

extern "C" {
void midge_gemv_q8b32_1x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ8B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
void midge_gemv_q8b32_2x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ8B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
void midge_gemv_q8b32_4x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ8B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
}

// The assembly beside this file does the work. Chunks are of about 18 KB.
void midge::gemv_f32_q8b32_q8b32_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_groups<16, 1>(args, (args->k + 31) / 32, midge_gemv_q8b32_1x32_neon_dot_add,
                            midge_gemv_q8b32_2x32_neon_dot_add, midge_gemv_q8b32_4x32_neon_dot_add);
}
