// The inner loops of gemv_f32_q8b32_q5b32_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations.
//
// void midge_gemv_q5b32_1x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                         int64_t lhs_stride,    x1  not used for 1 row
//                                         const UnitQ5B32* tile, x2
//                                         int64_t units,         x3  at least 1
//                                         RowSums* sums)       x4
//
// The registers are those of blocks_q5b32_neon_dot.inc.
//
// A block (32 columns) is 704 bytes; with 1 row 1024 multiply-adds in 258 instructions, with 2 rows
// 2048 in 383, with 4 rows 4096 in 609. Bound by the two SIMD pipes of big cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/blocks_q5b32_neon_dot.inc"

        .text
        add_row midge_gemv_q5b32_1x32_neon_dot_add, 0
        add_rows midge_gemv_q5b32_2x32_neon_dot_add, 2, 0
        add_rows midge_gemv_q5b32_4x32_neon_dot_add, 4, 0
#endif
        .section .note.GNU-stack, "", %progbits
