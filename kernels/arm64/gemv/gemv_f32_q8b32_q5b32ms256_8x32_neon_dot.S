// The inner loops of gemv_f32_q8b32_q5b32ms256_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows
// of activations.
//
// void midge_gemv_q5b32ms256_1x32_neon_dot_add(const LhsBlock* lhs,        x0
//                                              int64_t lhs_stride,         x1  not used for 1 row
//                                              const UnitQ5B32MS256* tile, x2
//                                              int64_t units,              x3  at least 1
//                                              RowSums* sums)            x4
//
// A unit goes in two passes over its 8 blocks, first the minimums, then the products. A test of a
// fifth bit makes the sign of q - 16 above its nibble; dot products start from 16 * (sum of
// activations) = -2 * correction.
//
// Registers
//   v0-v3    a line of nibbles; scales
//   v4-v7    q - 16 of 2 x 4 rows: low nibbles, then high ones
//   v8-v15   fifth bits of low nibbles, then of high ones; at the end of a block the sums of the unit,
//            which lie on the stack
//   v16, v17 values of the activations; v18 their scale and correction
//   v19      0x0f
//   v20-v22  bytes of 1, 2, 4: masks of fifth bits; v23 those of lines 3-6
//   v24-v31  int32 dot products, 4 rows each
//
// A block (32 columns): 704 bytes, 1024 multiply-adds; 265 instructions for the products, of which
// 64 sdot, and 41 for the minimums. Bound by the two SIMD pipes of big cores.
//
// The same for 2 and 4 rows goes by halves of the output rows, with the registers of
// rows_s256_neon_dot.inc: 398 and 632 instructions for the products of a block, 66 and 85 for the
// minimums.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod

sum0    .req v8
sum1    .req v9
sum2    .req v12
sum3    .req v13
sum4    .req v10
sum5    .req v11
sum6    .req v14
sum7    .req v15
unit_sums .req x12    // on the stack
unit_sums_1 .req x13

#include "kernels/arm64/gemv/units_s256.inc"
#include "kernels/arm64/gemv/rows_s256_neon_dot.inc"
#include "kernels/arm64/gemv/fifth_bits_neon_dot.inc"

// The dot products of a row start from -2 * correction.
.macro start_row row_lhs, a, b, c, d
        ldr     w16, [\row_lhs, #4]
        neg     w16, w16, lsl #1
        dup     v\a\().4s, w16
        dup     v\b\().4s, w16
        dup     v\c\().4s, w16
        dup     v\d\().4s, w16
.endm

.macro rows_dots rows
        half_dots \rows, start_row
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q5b32ms256_1x32_neon_dot_add
        .hidden midge_gemv_q5b32ms256_1x32_neon_dot_add
        .type   midge_gemv_q5b32ms256_1x32_neon_dot_add, %function
midge_gemv_q5b32ms256_1x32_neon_dot_add:
        hint    #34                     // bti c
        save_registers
        sub     sp, sp, #128
        mov     unit_sums, sp
        add     unit_sums_1, sp, #64
        add     sums_1, sums, #256
        movi    v19.16b, #15
        start_masks
2:
        minimum_pass 0
        start_products
        clear_sums
        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [unit_sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [unit_sums_1]
        .p2align 4
3:
        load_block
        shl     v4.2s, v18.2s, #1
        neg     v4.2s, v4.2s
        .irp    n, 24, 25, 26, 27, 28, 29, 30, 31
        dup     v\n\().4s, v4.s[1]
        .endr
        block_dots

        movi    v6.16b, #63
        load_scales 5, 4, 6
        ld1     {v8.4s, v9.4s, v10.4s, v11.4s}, [unit_sums]
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [unit_sums_1]
        subs    blocks, blocks, #1
        widen   v5
        add_scaled_dots v18.s[0], v24, v25, v26, v27, sum0, sum1, sum2, sum3
        widen   v4
        add_scaled_dots v18.s[0], v28, v29, v30, v31, sum4, sum5, sum6, sum7
        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [unit_sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [unit_sums_1]
        b.ne    3b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    2b
        add     sp, sp, #128
        restore_registers
        ret
        .size   midge_gemv_q5b32ms256_1x32_neon_dot_add, . - midge_gemv_q5b32ms256_1x32_neon_dot_add

        .p2align 4
        .globl  midge_gemv_q5b32ms256_2x32_neon_dot_add
        .hidden midge_gemv_q5b32ms256_2x32_neon_dot_add
        .type   midge_gemv_q5b32ms256_2x32_neon_dot_add, %function
midge_gemv_q5b32ms256_2x32_neon_dot_add:
        hint    #34                     // bti c
        start_rows_masks
        add_rows 2, rows_dots, 640, 0
        .size   midge_gemv_q5b32ms256_2x32_neon_dot_add, . - midge_gemv_q5b32ms256_2x32_neon_dot_add

        .p2align 4
        .globl  midge_gemv_q5b32ms256_4x32_neon_dot_add
        .hidden midge_gemv_q5b32ms256_4x32_neon_dot_add
        .type   midge_gemv_q5b32ms256_4x32_neon_dot_add, %function
midge_gemv_q5b32ms256_4x32_neon_dot_add:
        hint    #34                     // bti c
        add_rows 4, rows_dots, 640, 0
        .size   midge_gemv_q5b32ms256_4x32_neon_dot_add, . - midge_gemv_q5b32ms256_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
