// The inner loops of gemv_f32_q8b32_q4b32_8x32_neon_dot.cc: 32 output rows of 2 and of 4 rows of
// activations (a, b, c, d). Every weight is loaded and unpacked once for all of them.
//
// void midge_gemv_q4b32_{2,4}x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                             int64_t lhs_stride,    x1
//                                             const UnitQ4B32* tile, x2
//                                             int64_t units,         x3  at least 1
//                                             float* sums)           x4
// sums: as in gemv_groups.h; they stay in memory, the registers are full of dot products.
//
// Registers
//             2 rows                                    4 rows, one half of the output rows at a time
//   v0-v3     a line of nibbles; scales                 two lines (half of each); scales
//   v4, v5    low nibbles; scales                       v4 low nibbles, v5 0x0f
//   v6        0x0f                                      scale, correction of a and of b
//   v7        scale, correction of a and of b           the same of c and d
//   v8-v11    values of a (2) and b (2); products       values of a, b; products of scales
//   v12-v15   the next line; sums                       values of c, d; sums
//   v16-v31   dot products; 0-3 of a row: lower output  2 lower, 2 upper of each row
//             rows, 4-7 upper ones
//
// A block (32 columns) is 576 bytes; with 2 rows 2048 multiply-adds in 263 instructions, with 4 rows
// 4096 in 492. Bound by the SIMD pipes.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod

lhs     .req x0
stride  .req x1
unit    .req x2
units   .req x3
sums    .req x4

// sums[16] of a row += dots * (s * activation scale): two vectors of lower, two of upper output rows.
.macro add_products dot0, dot1, dot2, dot3, act, lane, s0, s1, s2, s3, at
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\at]
        fmul    v8.4s, \s0\().4s, \act\().s[\lane]
        fmul    v9.4s, \s1\().4s, \act\().s[\lane]
        fmul    v10.4s, \s2\().4s, \act\().s[\lane]
        fmul    v11.4s, \s3\().4s, \act\().s[\lane]
        sub     \dot2\().4s, \dot2\().4s, \dot0\().4s
        sub     \dot3\().4s, \dot3\().4s, \dot1\().4s
        scvtf   \dot0\().4s, \dot0\().4s
        scvtf   \dot1\().4s, \dot1\().4s
        scvtf   \dot2\().4s, \dot2\().4s, #4
        scvtf   \dot3\().4s, \dot3\().4s, #4
        fmla    v12.4s, \dot0\().4s, v8.4s
        fmla    v13.4s, \dot1\().4s, v9.4s
        fmla    v14.4s, \dot2\().4s, v10.4s
        fmla    v15.4s, \dot3\().4s, v11.4s
.endm

// Starts dot products from the correction.
.macro start_dots dot0, dot1, dot2, dot3, act, lane
        dup     \dot0\().4s, \act\().s[\lane]
        dup     \dot1\().4s, \act\().s[\lane]
        dup     \dot2\().4s, \act\().s[\lane]
        dup     \dot3\().4s, \act\().s[\lane]
.endm

.macro save_registers
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
.endm

.macro restore_registers
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
.endm

.macro begin name
        .p2align 4
        .globl  \name
        .hidden \name
        .type   \name, %function
\name\():
        save_registers
.endm

.macro end name
        restore_registers
        ret
        .size   \name, . - \name
.endm

        .text

// ---- 2 rows

lhs_b   .req x5
scales  .req x6
lines   .req x7
to_scales   .req x8   // from one block's scales to the next's
over_scales .req x9   // from the last line of a block to the first of the next
sums_b  .req x10
sums_a1 .req x11
sums_b1 .req x12

.macro load4 w0, w1, w2, w3, from, step
        ld1     {\w0\().16b, \w1\().16b, \w2\().16b, \w3\().16b}, [\from], \step
.endm

.macro multiply2 w0, w1, w2, w3, a, b, lane
        and     v4.16b, \w0\().16b, v6.16b
        and     v5.16b, \w1\().16b, v6.16b
        sdot    v20.4s, \w0\().16b, \a\().4b[\lane]
        sdot    v28.4s, \w0\().16b, \b\().4b[\lane]
        sdot    v21.4s, \w1\().16b, \a\().4b[\lane]
        sdot    v29.4s, \w1\().16b, \b\().4b[\lane]
        sdot    v16.4s, v4.16b, \a\().4b[\lane]
        sdot    v24.4s, v4.16b, \b\().4b[\lane]
        sdot    v17.4s, v5.16b, \a\().4b[\lane]
        sdot    v25.4s, v5.16b, \b\().4b[\lane]
        and     v4.16b, \w2\().16b, v6.16b
        and     v5.16b, \w3\().16b, v6.16b
        sdot    v22.4s, \w2\().16b, \a\().4b[\lane]
        sdot    v30.4s, \w2\().16b, \b\().4b[\lane]
        sdot    v23.4s, \w3\().16b, \a\().4b[\lane]
        sdot    v31.4s, \w3\().16b, \b\().4b[\lane]
        sdot    v18.4s, v4.16b, \a\().4b[\lane]
        sdot    v26.4s, v4.16b, \b\().4b[\lane]
        sdot    v19.4s, v5.16b, \a\().4b[\lane]
        sdot    v27.4s, v5.16b, \b\().4b[\lane]
.endm

        begin   midge_gemv_q4b32_2x32_neon_dot_add
        add     lhs_b, lhs, stride
        mov     scales, unit
        add     lines, unit, #64
        mov     to_scales, #576
        mov     over_scales, #128
        add     sums_b, sums, #64
        add     sums_a1, sums, #256
        add     sums_b1, sums, #320
        movi    v6.16b, #15
        .p2align 4
1:
        load4   v0, v1, v2, v3, lines, #64
        ldr     d7, [lhs], #8
        ld1     {v7.d}[1], [lhs_b], #8
        ld1     {v8.16b, v9.16b}, [lhs], #32
        ld1     {v10.16b, v11.16b}, [lhs_b], #32
        start_dots v16, v17, v18, v19, v7, 1
        start_dots v20, v21, v22, v23, v7, 1
        start_dots v24, v25, v26, v27, v7, 3
        start_dots v28, v29, v30, v31, v7, 3

        load4   v12, v13, v14, v15, lines, #64
        multiply2 v0, v1, v2, v3, v8, v10, 0
        load4   v0, v1, v2, v3, lines, #64
        multiply2 v12, v13, v14, v15, v8, v10, 1
        load4   v12, v13, v14, v15, lines, #64
        multiply2 v0, v1, v2, v3, v8, v10, 2
        load4   v0, v1, v2, v3, lines, #64
        multiply2 v12, v13, v14, v15, v8, v10, 3
        load4   v12, v13, v14, v15, lines, #64
        multiply2 v0, v1, v2, v3, v9, v11, 0
        load4   v0, v1, v2, v3, lines, #64
        multiply2 v12, v13, v14, v15, v9, v11, 1
        load4   v12, v13, v14, v15, lines, over_scales
        multiply2 v0, v1, v2, v3, v9, v11, 2
        load4   v0, v1, v2, v3, scales, to_scales
        multiply2 v12, v13, v14, v15, v9, v11, 3

        fcvtl2  v4.4s, v0.8h
        fcvtl2  v5.4s, v2.8h
        fcvtl   v0.4s, v0.4h
        fcvtl   v2.4s, v2.4h
        add_products v16, v17, v20, v21, v7, 0, v0, v4, v2, v5, sums
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums]
        add_products v24, v25, v28, v29, v7, 2, v0, v4, v2, v5, sums_b
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_b]
        fcvtl2  v4.4s, v1.8h
        fcvtl2  v5.4s, v3.8h
        fcvtl   v1.4s, v1.4h
        fcvtl   v3.4s, v3.4h
        add_products v18, v19, v22, v23, v7, 0, v1, v4, v3, v5, sums_a1
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_a1]
        add_products v26, v27, v30, v31, v7, 2, v1, v4, v3, v5, sums_b1
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_b1]
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32_2x32_neon_dot_add

// ---- 4 rows

lhs_c   .req x8
lhs_d   .req x9
sums_at .req x10

.macro multiply4 w0, w1, a, b, c, d, lane
        and     v4.16b, \w0\().16b, v5.16b
        sdot    v18.4s, \w0\().16b, \a\().4b[\lane]
        sdot    v22.4s, \w0\().16b, \b\().4b[\lane]
        sdot    v26.4s, \w0\().16b, \c\().4b[\lane]
        sdot    v30.4s, \w0\().16b, \d\().4b[\lane]
        sdot    v16.4s, v4.16b, \a\().4b[\lane]
        sdot    v20.4s, v4.16b, \b\().4b[\lane]
        sdot    v24.4s, v4.16b, \c\().4b[\lane]
        sdot    v28.4s, v4.16b, \d\().4b[\lane]
        and     v4.16b, \w1\().16b, v5.16b
        sdot    v19.4s, \w1\().16b, \a\().4b[\lane]
        sdot    v23.4s, \w1\().16b, \b\().4b[\lane]
        sdot    v27.4s, \w1\().16b, \c\().4b[\lane]
        sdot    v31.4s, \w1\().16b, \d\().4b[\lane]
        sdot    v17.4s, v4.16b, \a\().4b[\lane]
        sdot    v21.4s, v4.16b, \b\().4b[\lane]
        sdot    v25.4s, v4.16b, \c\().4b[\lane]
        sdot    v29.4s, v4.16b, \d\().4b[\lane]
.endm

// Output rows 8h..8h+7 and 16+8h..16+8h+7 of a block. The values have been loaded.
.macro half_block h
        ldp     q0, q1, [unit, #64 + 32 * \h]
        start_dots v16, v17, v18, v19, v6, 1
        start_dots v20, v21, v22, v23, v6, 3
        start_dots v24, v25, v26, v27, v7, 1
        start_dots v28, v29, v30, v31, v7, 3
        ldp     q2, q3, [unit, #128 + 32 * \h]
        multiply4 v0, v1, v8, v10, v12, v14, 0
        ldp     q0, q1, [unit, #192 + 32 * \h]
        multiply4 v2, v3, v8, v10, v12, v14, 1
        ldp     q2, q3, [unit, #256 + 32 * \h]
        multiply4 v0, v1, v8, v10, v12, v14, 2
        ldp     q0, q1, [unit, #320 + 32 * \h]
        multiply4 v2, v3, v8, v10, v12, v14, 3
        ldp     q2, q3, [unit, #384 + 32 * \h]
        multiply4 v0, v1, v9, v11, v13, v15, 0
        ldp     q0, q1, [unit, #448 + 32 * \h]
        multiply4 v2, v3, v9, v11, v13, v15, 1
        ldp     q2, q3, [unit, #512 + 32 * \h]
        multiply4 v0, v1, v9, v11, v13, v15, 2
        ldr     q0, [unit, #16 * \h]
        ldr     q1, [unit, #32 + 16 * \h]
        multiply4 v2, v3, v9, v11, v13, v15, 3

        fcvtl2  v2.4s, v0.8h
        fcvtl2  v3.4s, v1.8h
        fcvtl   v0.4s, v0.4h
        fcvtl   v1.4s, v1.4h
        add_products v16, v17, v18, v19, v6, 0, v0, v2, v1, v3, sums_at
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at], #64
        add_products v20, v21, v22, v23, v6, 2, v0, v2, v1, v3, sums_at
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at], #64
        add_products v24, v25, v26, v27, v7, 0, v0, v2, v1, v3, sums_at
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at], #64
        add_products v28, v29, v30, v31, v7, 2, v0, v2, v1, v3, sums_at
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at], #64
.endm

        begin   midge_gemv_q4b32_4x32_neon_dot_add
        add     lhs_b, lhs, stride
        add     lhs_c, lhs_b, stride
        add     lhs_d, lhs_c, stride
        movi    v5.16b, #15
        .p2align 4
1:
        ldr     d6, [lhs], #8
        ldr     d7, [lhs_c], #8
        ld1     {v6.d}[1], [lhs_b], #8
        ld1     {v7.d}[1], [lhs_d], #8
        ld1     {v8.16b, v9.16b}, [lhs]
        ld1     {v10.16b, v11.16b}, [lhs_b]
        ld1     {v12.16b, v13.16b}, [lhs_c]
        ld1     {v14.16b, v15.16b}, [lhs_d]
        mov     sums_at, sums
        half_block 0
        ld1     {v8.16b, v9.16b}, [lhs], #32
        ld1     {v10.16b, v11.16b}, [lhs_b], #32
        ld1     {v12.16b, v13.16b}, [lhs_c], #32
        ld1     {v14.16b, v15.16b}, [lhs_d], #32
        half_block 1
        add     unit, unit, #576
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
