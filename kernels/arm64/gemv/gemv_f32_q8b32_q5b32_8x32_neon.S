// The inner loop of gemv_f32_q8b32_q5b32_8x32_neon.cc: 32 output rows of one row of activations,
// for cores without dot products.
//
// void midge_gemv_q5b32_1x32_neon_add(const LhsBlock* lhs,   x0
//                                     int64_t lhs_stride,    x1  not used
//                                     const UnitQ5B32* tile, x2
//                                     int64_t units,         x3  at least 1
//                                     RowSums* sums)       x4
//
// The registers are those of blocks_q5b32_neon.inc.
//
// A block (32 columns): 704 bytes, 1024 multiply-adds, 360 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/blocks_q5b32_neon.inc"

        .text
        add_row midge_gemv_q5b32_1x32_neon_add, 0
#endif
        .section .note.GNU-stack, "", %progbits
