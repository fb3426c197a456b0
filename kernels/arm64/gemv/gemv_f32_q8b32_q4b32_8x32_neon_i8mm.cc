#include "kernels/arm64/gemv/gemv_q4b32_neon_dot.h"
#include "kernels/kernel_types.h"

extern "C" midge::arm64::AddBlocks<midge::UnitQ4B32> midge_gemv_q4b32_4x32_neon_i8mm_add;

// Pieces of 32 units are 18 KB. With fewer than 4 rows smmla would not pay; this level has sdot.
namespace midge {

extern "C" void gemv_f32_q8b32_q4b32_8x32_neon_i8mm(const GemvArgs* args) {
  arm64::gemv_rows<32, 1>(args, (args->k + 31) / 32, midge_gemv_q4b32_1x32_neon_dot_add,
                          midge_gemv_q4b32_2x32_neon_dot_add, midge_gemv_q4b32_4x32_neon_i8mm_add);
}

}  // namespace midge
