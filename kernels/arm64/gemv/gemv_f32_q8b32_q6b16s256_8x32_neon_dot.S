// The inner loops of gemv_f32_q8b32_q6b16s256_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations.
//
// void midge_gemv_q6b16s256_1x32_neon_dot_add(const LhsBlock* lhs,       x0
//                                             int64_t lhs_stride,        x1  not used for 1 row
//                                             const UnitQ6B16S256* tile, x2
//                                             int64_t units,             x3  at least 1
//                                             RowSums* sums)           x4
//
// A block goes by halves of the output rows, 8h..8h+7 and 16+8h..16+8h+7, so that everything stays
// in registers. High nibbles are unpacked to q - 32, low ones to q - 64, see upper_bits.inc: the
// dot products of low ones start from 32 * (sum of the sixteen's activations).
//
// Registers
//   v0-v5    pairs of vectors of 4 rows: upper bits, nibbles of the first and of the second line; the
//            first and the last change places from eight columns to the next
//   v6-v9    unpacked weights of the second line; integer scales
//   v10-v12  0x0f, 0x33, 0xee
//   v13, v14 values of the activations: the first and the second sixteen
//   v15      32 * their sums in lanes 0 and 1, their scale in lane 3
//   v16-v23  sums of the unit: rows 0-7, 16-23, 8-15, 24-31
//   v24-v27  int32 dot products of a sixteen: rows 8h..8h+7, 16+8h..16+8h+7
//   v28-v31  the block's sums of integer scale * dot product
//
// A block (32 columns): 832 bytes, 1024 multiply-adds, 318 instructions, of which 64 sdot. Bound by
// the two SIMD pipes of big cores.
//
// The same for 2 and 4 rows, with the registers of rows_s256_neon_dot.inc: 490 and 758 instructions
// a block.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod
#include "kernels/arm64/gemv/upper_bits.inc"

sum0    .req v16
sum1    .req v17
sum2    .req v20
sum3    .req v21
sum4    .req v18
sum5    .req v19
sum6    .req v22
sum7    .req v23

#include "kernels/arm64/gemv/units_s256.inc"

// Eight columns and their products with activations \lane and \lane + 1. Their upper bits are in
// h, their second line in b; the next eight, at lines + \next if there are any, come in the
// opposite way.
.macro eight h0, h1, b0, b1, act, lane, next=0
        add_upper_bits v\h0, v\h1, v2, v3, v\b0, v\b1, v6, v7, v8, v9, v12
.if \next
        ldp     q\b0, q\b1, [lines, #\next]
.endif
        sdot    v24.4s, v2.16b, \act\().4b[\lane]
        sdot    v25.4s, v3.16b, \act\().4b[\lane]
        sdot    v26.4s, v\h0\().16b, \act\().4b[\lane]
        sdot    v27.4s, v\h1\().16b, \act\().4b[\lane]
.if \next
        ldp     q2, q3, [lines, #\next + 64]
        ldp     q\h0, q\h1, [lines, #\next + 128]
.endif
        sdot    v24.4s, v6.16b, \act\().4b[\lane + 1]
        sdot    v25.4s, v7.16b, \act\().4b[\lane + 1]
        sdot    v26.4s, v8.16b, \act\().4b[\lane + 1]
        sdot    v27.4s, v9.16b, \act\().4b[\lane + 1]
.endm

.macro start_sixteen sixteen
        dup     v24.4s, v15.s[\sixteen]
        dup     v25.4s, v15.s[\sixteen]
        movi    v26.4s, #0
        movi    v27.4s, #0
.endm

// Half of the output rows of a block, at lines + \at.
.macro half_block at, half, bytes, s0, s1, s4, s5
        ldp     q0, q1, [lines, #\at]
        ldp     q2, q3, [lines, #\at + 64]
        ldp     q4, q5, [lines, #\at + 128]
        start_sixteen 0
        eight   0, 1, 4, 5, v13, 0, \at + 192
        eight   4, 5, 0, 1, v13, 2, \at + 384
        scale_sixteen 0, mul, \half, \bytes, v28, v29, v30, v31, v24, v25, v26, v27
        start_sixteen 1
        eight   0, 1, 4, 5, v14, 0, \at + 576
        eight   4, 5, 0, 1, v14, 2
        scale_sixteen 1, mla, \half, \bytes, v28, v29, v30, v31, v24, v25, v26, v27
        add_integers v15.s[3], v28, v29, v30, v31, \s0, \s1, \s4, \s5
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q6b16s256_1x32_neon_dot_add
        .hidden midge_gemv_q6b16s256_1x32_neon_dot_add
        .type   midge_gemv_q6b16s256_1x32_neon_dot_add, %function
midge_gemv_q6b16s256_1x32_neon_dot_add:
        hint    #34                     // bti c
        save_registers
        add     sums_1, sums, #256
        add     values, lhs, #8
        mov     lhs_block, #40
        start_masks
1:
        request_head 9
        add     packed, unit, #64
        add     lines, unit, #576
        mov     blocks, #8
        clear_sums
        .p2align 4
2:
        ld1     {v13.16b, v14.16b}, [values], lhs_block
        sum_activations
        half_block 0, , 8b, sum0, sum1, sum4, sum5
        half_block 32, 2, 16b, sum2, sum3, sum6, sum7
        add     packed, packed, #64
        add     lines, lines, #768
        subs    blocks, blocks, #1
        b.ne    2b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        restore_registers
        ret
        .size   midge_gemv_q6b16s256_1x32_neon_dot_add, . - midge_gemv_q6b16s256_1x32_neon_dot_add

// The rest is for 2 and 4 rows, with the registers of rows_s256_neon_dot.inc.

#include "kernels/arm64/gemv/rows_s256_neon_dot.inc"

integers .req x14    // the block's sums of integer scale * dot product of the next row, on the stack

// A sixteen's dot products of a row. v6: scratch.
.macro start_row values, a, b, c, d
        saddlv  h6, \values\().16b
        movi    v\c\().4s, #0
        movi    v\d\().4s, #0
        sshll   v6.4s, v6.4h, #5
        dup     v\a\().4s, v6.s[0]
        dup     v\b\().4s, v6.s[0]
.endm

// As `eight`, for all rows.
.macro rows_eight rows, h0, h1, b0, b1, lane, next=0
        movi    v8.16b, #0xee
        add_upper_bits v\h0, v\h1, v2, v3, v\b0, v\b1, v6, v7, v8, v9, v8
.if \next
        ldp     q\b0, q\b1, [lines, #\next]
.endif
        rows_products \rows, v2, v3, v\h0, v\h1, \lane
.if \next
        ldp     q2, q3, [lines, #\next + 64]
        ldp     q\h0, q\h1, [lines, #\next + 128]
.endif
        rows_products \rows, v6, v7, v8, v9, \lane + 1
.endm

// The dot products of a sixteen, whose weights are at lines + \at, and its integer scales in v0-v3.
.macro rows_sixteen rows, sixteen, at
        ldp     q0, q1, [lines, #\at]
        ldp     q2, q3, [lines, #\at + 64]
        ldp     q4, q5, [lines, #\at + 128]
        load_values \rows, 16 * \sixteen + 8
        start_row v12, 16, 17, 18, 19
        start_row v13, 20, 21, 22, 23
.if \rows == 4
        start_row v14, 24, 25, 26, 27
        start_row v15, 28, 29, 30, 31
.endif
        rows_eight \rows, 0, 1, 4, 5, 0, \at + 192
        rows_eight \rows, 4, 5, 0, 1, 2
        ldr     d0, [packed, #32 * \sixteen]
        ldr     d2, [packed, #32 * \sixteen + 16]
        widen_8 s
        mov     integers, sp
.endm

.macro end_first_sixteen a, b, c, d
        mul     v\a\().4s, v\a\().4s, v0.4s
        mul     v\b\().4s, v\b\().4s, v1.4s
        mul     v\c\().4s, v\c\().4s, v2.4s
        mul     v\d\().4s, v\d\().4s, v3.4s
        st1     {v\a\().4s, v\b\().4s, v\c\().4s, v\d\().4s}, [integers], #64
.endm

// The first sixteen's integers + this one's go to the unit's sums.
.macro end_second_sixteen row_lhs, a, b, c, d
        load_4  4, 5, 6, 7, integers
        mla     v4.4s, v\a\().4s, v0.4s
        mla     v5.4s, v\b\().4s, v1.4s
        mla     v6.4s, v\c\().4s, v2.4s
        mla     v7.4s, v\d\().4s, v3.4s
        ld1     {v\a\().4s, v\b\().4s, v\c\().4s, v\d\().4s}, [unit_sums]
        ldr     s8, [\row_lhs], #40
        add_integers v8.s[0], v4, v5, v6, v7, v\a, v\b, v\c, v\d
        st1     {v\a\().4s, v\b\().4s, v\c\().4s, v\d\().4s}, [unit_sums], #64
.endm

.macro add_rows_q6 rows
        save_registers
        sub     sp, sp, #128 * \rows
        start_lhs \rows
        movi    v10.16b, #0x0f
        movi    v11.16b, #0x33
1:
        request_head 9
        mov     half, #0
2:
        add     unit_scales, unit, half, lsl #1
        add     packed, unit, half
        add     packed, packed, #64
        add     lines, unit, half, lsl #2
        add     lines, lines, #576
        mov     blocks, #8
        clear_unit_sums \rows, 64 * \rows
        .p2align 4
3:
        rows_sixteen \rows, 0, 0
        end_first_sixteen 16, 17, 18, 19
        end_first_sixteen 20, 21, 22, 23
.if \rows == 4
        end_first_sixteen 24, 25, 26, 27
        end_first_sixteen 28, 29, 30, 31
.endif
        rows_sixteen \rows, 1, 384
        add     unit_sums, sp, #64 * \rows
        end_second_sixteen lhs, 16, 17, 18, 19
        end_second_sixteen lhs_1, 20, 21, 22, 23
.if \rows == 4
        end_second_sixteen lhs_2, 24, 25, 26, 27
        end_second_sixteen lhs_3, 28, 29, 30, 31
.endif
        add     packed, packed, #64
        add     lines, lines, #768
        subs    blocks, blocks, #1
        b.ne    3b
        load_unit_sums \rows, 64 * \rows
        finish_rows \rows, 0, 0
        eor     half, half, #8
        cbz     half, 4f
        rewind  \rows
        b       2b
4:
        sub     unit, lines, #32
        subs    units, units, #1
        b.ne    1b
        add     sp, sp, #128 * \rows
        restore_registers
        ret
.endm

        .p2align 4
        .globl  midge_gemv_q6b16s256_2x32_neon_dot_add
        .hidden midge_gemv_q6b16s256_2x32_neon_dot_add
        .type   midge_gemv_q6b16s256_2x32_neon_dot_add, %function
midge_gemv_q6b16s256_2x32_neon_dot_add:
        hint    #34                     // bti c
        add_rows_q6 2
        .size   midge_gemv_q6b16s256_2x32_neon_dot_add, . - midge_gemv_q6b16s256_2x32_neon_dot_add

        .p2align 4
        .globl  midge_gemv_q6b16s256_4x32_neon_dot_add
        .hidden midge_gemv_q6b16s256_4x32_neon_dot_add
        .type   midge_gemv_q6b16s256_4x32_neon_dot_add, %function
midge_gemv_q6b16s256_4x32_neon_dot_add:
        hint    #34                     // bti c
        add_rows_q6 4
        .size   midge_gemv_q6b16s256_4x32_neon_dot_add, . - midge_gemv_q6b16s256_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
