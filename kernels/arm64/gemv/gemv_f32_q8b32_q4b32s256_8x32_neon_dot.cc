#include "kernels/arm64/gemv/gemv_groups.h"
#include "kernels/kernels.h"

extern "C" {
void midge_gemv_q4b32s256_1x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                            const midge::UnitQ4B32S256* tile, int64_t units,
                                            midge::arm64::GroupSums* sums);
void midge_gemv_q4b32s256_2x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                            const midge::UnitQ4B32S256* tile, int64_t units,
                                            midge::arm64::GroupSums* sums);
void midge_gemv_q4b32s256_4x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                            const midge::UnitQ4B32S256* tile, int64_t units,
                                            midge::arm64::GroupSums* sums);
}

// The assembly beside this file does the work. Chunks are of about 17 KB.
void midge::gemv_f32_q8b32_q4b32s256_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_groups<4, 8>(args, (args->k + 255) / 256, midge_gemv_q4b32s256_1x32_neon_dot_add,
                           midge_gemv_q4b32s256_2x32_neon_dot_add,
                           midge_gemv_q4b32s256_4x32_neon_dot_add);
}
