// The inner loops of gemv_f32_q8b32_q5b32m_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations.
//
// void midge_gemv_q5b32m_1x32_neon_dot_add(const LhsBlock* lhs,    x0
//                                          int64_t lhs_stride,     x1  not used for 1 row
//                                          const UnitQ5B32M* tile, x2
//                                          int64_t units,          x3  at least 1
//                                          RowSums* sums)        x4
//
// The registers are those of blocks_q5b32_neon_dot.inc.
//
// A block (32 columns) is 768 bytes; with 1 row 1024 multiply-adds in 296 instructions, with 2 rows
// 2048 in 437, with 4 rows 4096 in 679. Bound by the two SIMD pipes of big cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/blocks_q5b32_neon_dot.inc"

        .text
        add_row midge_gemv_q5b32m_1x32_neon_dot_add, 2
        add_rows midge_gemv_q5b32m_2x32_neon_dot_add, 2, 2
        add_rows midge_gemv_q5b32m_4x32_neon_dot_add, 4, 2
#endif
        .section .note.GNU-stack, "", %progbits
