// The inner loop of gemv_f32_q8b32_q4b32ms256_8x32_neon.cc: 32 output rows of one row of
// activations, for cores without dot products.
//
// void midge_gemv_q4b32ms256_1x32_neon_add(const LhsBlock* lhs,        x0
//                                          int64_t lhs_stride,         x1  not used
//                                          const UnitQ4B32MS256* tile, x2
//                                          int64_t units,              x3  at least 1
//                                          RowSums* sums)            x4
//
// A unit goes in two passes over its 8 blocks, first the minimums, then the products. The products
// of nibbles are those of gemv_f32_q8b32_q4b32_8x32_neon.S. Low nibbles are q as they are, high
// ones q - 8: -correction makes up for it.
//
// Registers: those of gemv_f32_q8b32_q4b32_8x32_neon.S; v8-v15 are sums of the unit.
//
// A block (32 columns): 576 bytes, 1024 multiply-adds; 282 instructions for the products, of which
// 128 multiply, and 41 for the minimums. Bound by the one multiplier of small cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon.inc"

sum0    .req v8
sum1    .req v9
sum2    .req v12
sum3    .req v13
sum4    .req v10
sum5    .req v11
sum6    .req v14
sum7    .req v15

#include "kernels/arm64/gemv/units_s256.inc"

        .text
        .p2align 4
        .globl  midge_gemv_q4b32ms256_1x32_neon_add
        .hidden midge_gemv_q4b32ms256_1x32_neon_add
        .type   midge_gemv_q4b32ms256_1x32_neon_add, %function
midge_gemv_q4b32ms256_1x32_neon_add:
        hint    #34                     // bti c
        save_registers
        add     lhs, lhs, #8
        mov     to_next_block, #12
        add     sums_1, sums, #256
2:
        minimum_pass 8
        start_products
        sub     block, lines, #64
        movi    v6.16b, #15
        clear_sums
        .p2align 4
3:
        block_dots
        dup     v4.4s, v5.s[1]
        movi    v17.16b, #63
        load_scales 7, 19, 17
        sub     v24.4s, v24.4s, v4.4s
        sub     v26.4s, v26.4s, v4.4s
        sub     v28.4s, v28.4s, v4.4s
        sub     v30.4s, v30.4s, v4.4s
        widen   v7
        add_scaled_dots v5.s[0], v16, v18, v20, v22, sum0, sum1, sum2, sum3
        widen   v19
        add_scaled_dots v5.s[0], v24, v26, v28, v30, sum4, sum5, sum6, sum7
        add     block, block, #512
        subs    blocks, blocks, #1
        b.ne    3b
        finish_pass unit, 0
        add     unit, block, #64
        subs    units, units, #1
        b.ne    2b
        restore_registers
        ret
        .size   midge_gemv_q4b32ms256_1x32_neon_add, . - midge_gemv_q4b32ms256_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
