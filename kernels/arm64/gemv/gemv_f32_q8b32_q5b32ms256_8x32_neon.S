// The inner loop of gemv_f32_q8b32_q5b32ms256_8x32_neon.cc: 32 output rows of one row of
// activations, for cores without dot products.
//
// void midge_gemv_q5b32ms256_1x32_neon_add(const LhsBlock* lhs,        x0
//                                          int64_t lhs_stride,         x1  not used
//                                          const UnitQ5B32MS256* tile, x2
//                                          int64_t units,              x3  at least 1
//                                          GroupSums* sums)            x4
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
#include "kernels/arm64/gemv/fifth_bits.inc"
#include "kernels/arm64/gemv/products_neon.inc"

sum0    .req v8
sum1    .req v9
sum2    .req v12
sum3    .req v13
sum4    .req v10
sum5    .req v11
sum6    .req v14
sum7    .req v15

#include "kernels/arm64/gemv/units_s256.inc"

values  .req x10     // of the next activations
to_first .req x11    // from the last activations of a block to its first
to_next_block .req x12 // and to the first of the next block

// Half of a line. The half of the next one, at lines + \next, and its activations are loaded as
// soon as this one is unpacked.
.macro half_line number, bit, act, how, next_act=0, next=0, step=0
        add_fifth_bits \number, v0, v1, v16, v17, v18, v19, v2, v3, v4, v5, \bit, v6
.if \number < 7
        ldp     q0, q1, [lines, #\next]
        ld1r    {\next_act\().4s}, [values], \step
.endif
        products \how, v24, v25, v2, \act
        products \how, v26, v27, v3, \act
        products \how, v28, v29, v4, \act
        products \how, v30, v31, v5, \act
.endm

// Half of the output rows of a block, at lines + \at. After the last activations values goes on by
// \step; then \lhs is from it to the scale and the correction of this block. \scales: the first of
// 8.
.macro half_block at, step, lhs, scales, s0, s1, s4, s5
        ldp     q16, q17, [lines, #\at]
        ldp     q18, q19, [lines, #\at + 64]
        ldp     q0, q1, [lines, #\at + 128]
        ld1r    {v7.4s}, [values], #4
        half_line 0, v21, v7, smull, v23, \at + 192, #4
        half_line 1, v22, v23, smlal, v7, \at + 256, #4
        movi    v20.16b, #4
        half_line 2, v20, v7, smlal, v23, \at + 320, #4
        movi    v20.16b, #8
        half_line 3, v20, v23, smlal, v7, \at + 384, #4
        movi    v20.16b, #16
        half_line 4, v20, v7, smlal, v23, \at + 448, #4
        movi    v20.16b, #32
        half_line 5, v20, v23, smlal, v7, \at + 512, #4
        movi    v20.16b, #64
        half_line 6, v20, v7, smlal, v23, \at + 576, \step
        half_line 7, v20, v23, smlal

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
        save_registers
        add     values, lhs, #8
        mov     to_first, #-28
        mov     to_next_block, #12
        add     sums_1, sums, #256
        movi    v21.16b, #1
        movi    v22.16b, #2
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
