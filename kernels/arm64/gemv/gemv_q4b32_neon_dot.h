// The assembly of the q4b32 kernels: AddUnits of 1, 2 and 4 rows.
#pragma once

#include "kernels/arm64/gemv/gemv_groups.h"

extern "C" {
void midge_gemv_q4b32_1x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ4B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
void midge_gemv_q4b32_2x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ4B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
void midge_gemv_q4b32_4x32_neon_dot_add(const midge::LhsBlock* lhs, int64_t lhs_stride,
                                        const midge::UnitQ4B32* tile, int64_t units,
                                        midge::arm64::GroupSums* sums);
}
