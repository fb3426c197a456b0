// The inner loop of gemv_f32_q8b32_q5b32ms256_8x32_neon.cc: 32 output rows of one row of
// activations, for cores without dot products.
//
// void midge_gemv_q5b32ms256_1x32_neon_add(const LhsBlock* lhs,        x0
//                                          int64_t lhs_stride,         x1  not used
//                                          const UnitQ5B32MS256* tile, x2
//                                          int64_t units,              x3  at least 1
//                                          RowSums* sums)            x4
//
// A unit goes in two passes over its 8 blocks, first the minimums, then the products, and a block
// by halves of the output rows, 8h..8h+7 and 16+8h..16+8h+7, so that everything stays in registers.
// Sixteen bits hold the sum of 16 products with q - 16, at most 16 * 16 * 127; -2 * correction
// makes up for the 16.
//
// Registers
//   v0, v1   nibbles of 2 x 4 rows
//   v2-v5    q - 16: low nibbles, then high ones
//   v6       0x0f
//   v7, v23  4 activations, four times: even and odd lines
//   v8-v15   sums of the unit: rows 0-7, 16-23, 8-15, 24-31
//   v16-v19  fifth bits of low nibbles, then of high ones
//   v20-v22  masks of fifth bits: of lines 2-6, 0 and 1
//   v24-v31  int16 products; then dot products of 4 rows in the even ones
//
// A block (32 columns): 704 bytes, 1024 multiply-adds; 382 instructions for the products, of which
// 128 multiply, and 41 for the minimums. Bound by the one multiplier of small cores.
#if defined(__aarch64__)

sum0    .req v8
sum1    .req v9
sum2    .req v12
sum3    .req v13
sum4    .req v10
sum5    .req v11
sum6    .req v14
sum7    .req v15

#include "kernels/arm64/gemv/units_s256.inc"
#include "kernels/arm64/gemv/fifth_bits_neon.inc"

// Half of the output rows of a block, at lines + \at. After the last activations values goes on by
// \step; then \lhs is from it to the scale and the correction of this block. \scales: the first of
// 8.
.macro half_block at, step, lhs, scales, s0, s1, s4, s5
        half_dots \at, \step

        ldr     d4, [values, #\lhs]
        ldr     d0, [packed, #\scales]
        ldr     d2, [packed, #\scales + 128]
        movi    v7.16b, #63
        shl     v5.2s, v4.2s, #1
        dup     v5.4s, v5.s[1]
        and     v0.16b, v0.16b, v7.16b
        and     v2.16b, v2.16b, v7.16b
        join    v24, v25
        join    v26, v27
        join    v28, v29
        join    v30, v31
        ushll   v0.8h, v0.8b, #0
        ushll   v2.8h, v2.8b, #0
        sub     v24.4s, v24.4s, v5.4s
        sub     v26.4s, v26.4s, v5.4s
        sub     v28.4s, v28.4s, v5.4s
        sub     v30.4s, v30.4s, v5.4s
        ushll2  v1.4s, v0.8h, #0
        ushll   v0.4s, v0.4h, #0
        ushll2  v3.4s, v2.8h, #0
        ushll   v2.4s, v2.4h, #0
        add_scaled_dots v4.s[0], v24, v26, v28, v30, \s0, \s1, \s4, \s5
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q5b32ms256_1x32_neon_add
        .hidden midge_gemv_q5b32ms256_1x32_neon_add
        .type   midge_gemv_q5b32ms256_1x32_neon_add, %function
midge_gemv_q5b32ms256_1x32_neon_add:
        hint    #34                     // bti c
        save_registers
        start_dots
        add     sums_1, sums, #256
2:
        minimum_pass 0
        mov     lhs, minimum_lhs  // past this unit
        start_products
        movi    v6.16b, #15
        clear_sums
        .p2align 4
3:
        half_block 0, to_first, -8, 0, sum0, sum1, sum4, sum5
        half_block 32, to_next_block, -48, 8, sum2, sum3, sum6, sum7
        add     packed, packed, #16
        add     lines, lines, #640
        subs    blocks, blocks, #1
        b.ne    3b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    2b
        restore_registers
        ret
        .size   midge_gemv_q5b32ms256_1x32_neon_add, . - midge_gemv_q5b32ms256_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
