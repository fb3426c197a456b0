// gemv_f32_q8b32_<encoding>_8x32_neon_dot: the assembly file of each name does the work, for 1, 2
// and 4 rows of activations. Pieces are of 17 to 22 KB.
#include "kernels/arm64/gemv/gemv_q4b32_neon_dot.h"
#include "kernels/kernel_types.h"

namespace midge {

extern "C" {
arm64::AddBlocks<UnitQ4B32M> midge_gemv_q4b32m_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32M> midge_gemv_q4b32m_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32M> midge_gemv_q4b32m_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32> midge_gemv_q5b32_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32> midge_gemv_q5b32_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32> midge_gemv_q5b32_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32M> midge_gemv_q5b32m_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32M> midge_gemv_q5b32m_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32M> midge_gemv_q5b32m_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ8B32> midge_gemv_q8b32_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ8B32> midge_gemv_q8b32_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ8B32> midge_gemv_q8b32_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32MS256> midge_gemv_q4b32ms256_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32MS256> midge_gemv_q4b32ms256_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ4B32MS256> midge_gemv_q4b32ms256_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32MS256> midge_gemv_q5b32ms256_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32MS256> midge_gemv_q5b32ms256_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ5B32MS256> midge_gemv_q5b32ms256_4x32_neon_dot_add;
arm64::AddBlocks<UnitQ6B16S256> midge_gemv_q6b16s256_1x32_neon_dot_add;
arm64::AddBlocks<UnitQ6B16S256> midge_gemv_q6b16s256_2x32_neon_dot_add;
arm64::AddBlocks<UnitQ6B16S256> midge_gemv_q6b16s256_4x32_neon_dot_add;
}

extern "C" void gemv_f32_q8b32_q4b32_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<32, 1>(args, (args->k + 31) / 32, midge_gemv_q4b32_1x32_neon_dot_add,
                          midge_gemv_q4b32_2x32_neon_dot_add, midge_gemv_q4b32_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q4b32m_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<32, 1>(args, (args->k + 31) / 32, midge_gemv_q4b32m_1x32_neon_dot_add,
                          midge_gemv_q4b32m_2x32_neon_dot_add, midge_gemv_q4b32m_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q5b32_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<32, 1>(args, (args->k + 31) / 32, midge_gemv_q5b32_1x32_neon_dot_add,
                          midge_gemv_q5b32_2x32_neon_dot_add, midge_gemv_q5b32_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q5b32m_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<28, 1>(args, (args->k + 31) / 32, midge_gemv_q5b32m_1x32_neon_dot_add,
                          midge_gemv_q5b32m_2x32_neon_dot_add, midge_gemv_q5b32m_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q8b32_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<16, 1>(args, (args->k + 31) / 32, midge_gemv_q8b32_1x32_neon_dot_add,
                          midge_gemv_q8b32_2x32_neon_dot_add, midge_gemv_q8b32_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q4b32ms256_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<4, 8>(args, (args->k + 255) / 256, midge_gemv_q4b32ms256_1x32_neon_dot_add,
                         midge_gemv_q4b32ms256_2x32_neon_dot_add,
                         midge_gemv_q4b32ms256_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q5b32ms256_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<4, 8>(args, (args->k + 255) / 256, midge_gemv_q5b32ms256_1x32_neon_dot_add,
                         midge_gemv_q5b32ms256_2x32_neon_dot_add,
                         midge_gemv_q5b32ms256_4x32_neon_dot_add);
}

extern "C" void gemv_f32_q8b32_q6b16s256_8x32_neon_dot(const GemvArgs* args) {
  arm64::gemv_rows<3, 8>(args, (args->k + 255) / 256, midge_gemv_q6b16s256_1x32_neon_dot_add,
                         midge_gemv_q6b16s256_2x32_neon_dot_add,
                         midge_gemv_q6b16s256_4x32_neon_dot_add);
}

}  // namespace midge
