// The assembly of the q4b32 kernels: AddUnits of 1, 2 and 4 rows.
#pragma once

#include "kernels/arm64/gemv/gemv_rows.h"

namespace midge {

extern "C" {
arm64::AddBlocks<UnitQ4B32> midge_gemv_q4b32_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32> midge_gemv_q4b32_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32> midge_gemv_q4b32_4x32_neon_dot_add;
}

}  // namespace midge
