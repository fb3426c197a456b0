// The inner loops of gemv_f32_q8b32_q8b32_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations (a, b, c, d). Every weight is loaded once for all of them.
//
// void midge_gemv_q8b32_1x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                         int64_t lhs_stride,    x1  not used for 1 row
//                                         const UnitQ8B32* tile, x2
//                                         int64_t units,         x3  at least 1
//                                         RowSums* sums)       x4
//
// Registers
//           1 row                           2 rows                 4 rows, 16 output rows at a time
//   v0-v3   half a line, 4 columns of rows  the same; scales       half of every second line; scales
//   v4-v7   0-15, and the other half;       the same; scales       the same of the others; scales
//           scales
//   v8-v11  v8, v9 activations, v10 their   activations of a, b;   activations of a, b; products
//           scale                           products of scales     of scales
//   v12-v15 free                            sums                   activations of c, d; sums
//   v16-v31 int32 dot products of rows      dot products: 8 of a,  dot products: 4 of each row
//           4i..4i+3; from v24 on sums of   8 of b
//           rows 0-7, 16-23, 8-15, 24-31
// With 2 and 4 rows the sums stay in memory.
//
// A block (32 columns): 1088 bytes; 1024 multiply-adds in 125 instructions, of which 64 sdot, 2048
// in 231, 4096 in 460. With one row bound by loads, 68 bytes of weights for every 4 sdot; with more
// bound by the SIMD pipes.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod

lhs     .req x0
stride  .req x1
lines   .req x2   // next half of a line to load
units   .req x3
sums    .req x4
scales  .req x5   // of the current unit
to_scales   .req x6   // from one unit's scales to the next's
over_scales .req x7   // from the last half of a unit to the first of the next
sums_1  .req x8   // those of the second half of the output rows
block   .req x9   // bytes of a block of activations
lhs_b   .req x10
lhs_c   .req x11
lhs_d   .req x12
sums_b  .req x13
sums_b1 .req x14
line    .req x15  // bytes of a line
back    .req x16  // from the last line to the other half of the first

// 4 columns: rows 0-15 are in v0-v3, rows 16-31 are loaded to v4-v7, then the next line's to v0-v3.
.macro multiply act, lane
        ld1     {v4.16b, v5.16b, v6.16b, v7.16b}, [lines], #64
        sdot    v16.4s, v0.16b, \act\().4b[\lane]
        sdot    v17.4s, v1.16b, \act\().4b[\lane]
        sdot    v18.4s, v2.16b, \act\().4b[\lane]
        sdot    v19.4s, v3.16b, \act\().4b[\lane]
        ld1     {v0.16b, v1.16b, v2.16b, v3.16b}, [lines], #64
        sdot    v20.4s, v4.16b, \act\().4b[\lane]
        sdot    v21.4s, v5.16b, \act\().4b[\lane]
        sdot    v22.4s, v6.16b, \act\().4b[\lane]
        sdot    v23.4s, v7.16b, \act\().4b[\lane]
.endm

.macro add_product sum, dot, scale
        fmul    \scale\().4s, \scale\().4s, v10.s[0]
        scvtf   \dot\().4s, \dot\().4s
        fmla    \sum\().4s, \dot\().4s, \scale\().4s
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q8b32_1x32_neon_dot_add
        .hidden midge_gemv_q8b32_1x32_neon_dot_add
        .type   midge_gemv_q8b32_1x32_neon_dot_add, %function
midge_gemv_q8b32_1x32_neon_dot_add:
        hint    #34                     // bti c
        stp     d8, d9, [sp, #-32]!
        str     d10, [sp, #16]
        mov     scales, lines
        add     lines, lines, #64
        mov     to_scales, #1088
        mov     over_scales, #128
        add     sums_1, sums, #256
        ld1     {v24.4s, v25.4s, v26.4s, v27.4s}, [sums]
        ld1     {v28.4s, v29.4s, v30.4s, v31.4s}, [sums_1]

        .p2align 4
1:
        ld1     {v0.16b, v1.16b, v2.16b, v3.16b}, [lines], #64
        ldr     d10, [lhs], #8
        ld1     {v8.16b, v9.16b}, [lhs], #32
        movi    v16.4s, #0
        movi    v17.4s, #0
        movi    v18.4s, #0
        movi    v19.4s, #0
        movi    v20.4s, #0
        movi    v21.4s, #0
        movi    v22.4s, #0
        movi    v23.4s, #0
        multiply v8, 0
        multiply v8, 1
        multiply v8, 2
        multiply v8, 3
        multiply v9, 0
        multiply v9, 1
        multiply v9, 2
        // The last line: its second half is followed by the scales of the next unit.
        ld1     {v4.16b, v5.16b, v6.16b, v7.16b}, [lines], over_scales
        sdot    v16.4s, v0.16b, v9.4b[3]
        sdot    v17.4s, v1.16b, v9.4b[3]
        sdot    v18.4s, v2.16b, v9.4b[3]
        sdot    v19.4s, v3.16b, v9.4b[3]
        ld1     {v0.8h, v1.8h, v2.8h, v3.8h}, [scales], to_scales
        sdot    v20.4s, v4.16b, v9.4b[3]
        sdot    v21.4s, v5.16b, v9.4b[3]
        sdot    v22.4s, v6.16b, v9.4b[3]
        sdot    v23.4s, v7.16b, v9.4b[3]

        fcvtl2  v4.4s, v0.8h
        fcvtl2  v5.4s, v1.8h
        fcvtl2  v6.4s, v2.8h
        fcvtl2  v7.4s, v3.8h
        fcvtl   v0.4s, v0.4h
        fcvtl   v1.4s, v1.4h
        fcvtl   v2.4s, v2.4h
        fcvtl   v3.4s, v3.4h
        add_product v24, v16, v0
        add_product v25, v17, v4
        add_product v28, v18, v1
        add_product v29, v19, v5
        add_product v26, v20, v2
        add_product v27, v21, v6
        add_product v30, v22, v3
        add_product v31, v23, v7
        subs    units, units, #1
        b.ne    1b

        st1     {v24.4s, v25.4s, v26.4s, v27.4s}, [sums]
        st1     {v28.4s, v29.4s, v30.4s, v31.4s}, [sums_1]
        ldr     d10, [sp, #16]
        ldp     d8, d9, [sp], #32
        ret
        .size   midge_gemv_q8b32_1x32_neon_dot_add, . - midge_gemv_q8b32_1x32_neon_dot_add

// ---- 2 and 4 rows

// v12-v15, the sums of 16 output rows of a row, += dots * (scales in v4-v7 * activation scale).
.macro add_products dot0, dot1, dot2, dot3, act
        fmul    v8.4s, v4.4s, \act\().s[0]
        fmul    v9.4s, v5.4s, \act\().s[0]
        fmul    v10.4s, v6.4s, \act\().s[0]
        fmul    v11.4s, v7.4s, \act\().s[0]
        scvtf   v\dot0\().4s, v\dot0\().4s
        scvtf   v\dot1\().4s, v\dot1\().4s
        scvtf   v\dot2\().4s, v\dot2\().4s
        scvtf   v\dot3\().4s, v\dot3\().4s
        fmla    v12.4s, v\dot0\().4s, v8.4s
        fmla    v13.4s, v\dot1\().4s, v9.4s
        fmla    v14.4s, v\dot2\().4s, v10.4s
        fmla    v15.4s, v\dot3\().4s, v11.4s
.endm

// v4-v7 = the f16 scales of 16 output rows in v\a and v\b.
.macro widen_scales a, b
        fcvtl   v4.4s, v\a\().4h
        fcvtl2  v5.4s, v\a\().8h
        fcvtl   v6.4s, v\b\().4h
        fcvtl2  v7.4s, v\b\().8h
.endm

.macro clear_4 a, b, c, d
        movi    v\a\().4s, #0
        movi    v\b\().4s, #0
        movi    v\c\().4s, #0
        movi    v\d\().4s, #0
.endm

.macro load_4 a, b, c, d, from, step
        ld1     {v\a\().16b, v\b\().16b, v\c\().16b, v\d\().16b}, [\from], \step
.endm

// 4 columns of 16 output rows.
.macro row_products w0, w1, w2, w3, act, lane, a, b, c, d
        sdot    v\a\().4s, v\w0\().16b, v\act\().4b[\lane]
        sdot    v\b\().4s, v\w1\().16b, v\act\().4b[\lane]
        sdot    v\c\().4s, v\w2\().16b, v\act\().4b[\lane]
        sdot    v\d\().4s, v\w3\().16b, v\act\().4b[\lane]
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

// 2 rows: a line, whose first half has been loaded. Beyond its second half \over is added to lines;
// then \next comes to v0-v3.
.macro line_2 a, b, lane, over, next, step
        load_4  4, 5, 6, 7, lines, \over
        row_products 0, 1, 2, 3, \a, \lane, 16, 17, 18, 19
        row_products 0, 1, 2, 3, \b, \lane, 24, 25, 26, 27
        load_4  0, 1, 2, 3, \next, \step
        row_products 4, 5, 6, 7, \a, \lane, 20, 21, 22, 23
        row_products 4, 5, 6, 7, \b, \lane, 28, 29, 30, 31
.endm

.macro add_to_sums_2 dot0, dot1, dot2, dot3, act, at
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\at]
        add_products \dot0, \dot1, \dot2, \dot3, \act
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\at]
.endm

        .p2align 4
        .globl  midge_gemv_q8b32_2x32_neon_dot_add
        .hidden midge_gemv_q8b32_2x32_neon_dot_add
        .type   midge_gemv_q8b32_2x32_neon_dot_add, %function
midge_gemv_q8b32_2x32_neon_dot_add:
        hint    #34                     // bti c
        save_registers
        mov     scales, lines
        add     lines, lines, #64
        mov     to_scales, #1088
        mov     over_scales, #128
        mov     block, #40
        add     lhs, lhs, #8
        add     lhs_b, lhs, stride
        add     sums_1, sums, #256
        add     sums_b, sums, #64
        add     sums_b1, sums, #320
        .p2align 4
1:
        load_4  0, 1, 2, 3, lines, #64
        ld1     {v8.16b, v9.16b}, [lhs], block
        ld1     {v10.16b, v11.16b}, [lhs_b], block
        clear_4 16, 17, 18, 19
        clear_4 20, 21, 22, 23
        clear_4 24, 25, 26, 27
        clear_4 28, 29, 30, 31
        line_2  8, 10, 0, #64, lines, #64
        line_2  8, 10, 1, #64, lines, #64
        line_2  8, 10, 2, #64, lines, #64
        line_2  8, 10, 3, #64, lines, #64
        line_2  9, 11, 0, #64, lines, #64
        line_2  9, 11, 1, #64, lines, #64
        line_2  9, 11, 2, #64, lines, #64
        line_2  9, 11, 3, over_scales, scales, to_scales

        widen_scales 0, 2
        ldur    s0, [lhs, #-48]
        ldur    s2, [lhs_b, #-48]
        add_to_sums_2 16, 17, 20, 21, v0, sums
        add_to_sums_2 24, 25, 28, 29, v2, sums_b
        widen_scales 1, 3
        add_to_sums_2 18, 19, 22, 23, v0, sums_1
        add_to_sums_2 26, 27, 30, 31, v2, sums_b1
        subs    units, units, #1
        b.ne    1b
        restore_registers
        ret
        .size   midge_gemv_q8b32_2x32_neon_dot_add, . - midge_gemv_q8b32_2x32_neon_dot_add

// 4 rows: half a line.
.macro line_4 w0, w1, w2, w3, a, b, c, d, lane
        row_products \w0, \w1, \w2, \w3, \a, \lane, 16, 17, 18, 19
        row_products \w0, \w1, \w2, \w3, \b, \lane, 20, 21, 22, 23
        row_products \w0, \w1, \w2, \w3, \c, \lane, 24, 25, 26, 27
        row_products \w0, \w1, \w2, \w3, \d, \lane, 28, 29, 30, 31
.endm

// Output rows 16h..16h+15 of row \row.
.macro add_to_sums_4 half, row, dot0, dot1, dot2, dot3, act
        ldp     q12, q13, [sums, #64 * \row + 32 * \half]
        ldp     q14, q15, [sums, #256 + 64 * \row + 32 * \half]
        add_products \dot0, \dot1, \dot2, \dot3, \act
        stp     q12, q13, [sums, #64 * \row + 32 * \half]
        stp     q14, q15, [sums, #256 + 64 * \row + 32 * \half]
.endm

// Output rows 16h..16h+15 of a block, h = \half; the second half goes beyond the block's activations.
// \to_scales: from the half's scales to those of the next one, \over: from its last line to the
// first of the next one.
.macro half_block half, to_scales, over
        load_4  0, 1, 2, 3, lines, line
.if \half == 0
        ld1     {v8.16b, v9.16b}, [lhs]
        ld1     {v10.16b, v11.16b}, [lhs_b]
        ld1     {v12.16b, v13.16b}, [lhs_c]
        ld1     {v14.16b, v15.16b}, [lhs_d]
.else
        ld1     {v8.16b, v9.16b}, [lhs], block
        ld1     {v10.16b, v11.16b}, [lhs_b], block
        ld1     {v12.16b, v13.16b}, [lhs_c], block
        ld1     {v14.16b, v15.16b}, [lhs_d], block
.endif
        clear_4 16, 17, 18, 19
        clear_4 20, 21, 22, 23
        clear_4 24, 25, 26, 27
        clear_4 28, 29, 30, 31
        load_4  4, 5, 6, 7, lines, line
        line_4  0, 1, 2, 3, 8, 10, 12, 14, 0
        load_4  0, 1, 2, 3, lines, line
        line_4  4, 5, 6, 7, 8, 10, 12, 14, 1
        load_4  4, 5, 6, 7, lines, line
        line_4  0, 1, 2, 3, 8, 10, 12, 14, 2
        load_4  0, 1, 2, 3, lines, line
        line_4  4, 5, 6, 7, 8, 10, 12, 14, 3
        load_4  4, 5, 6, 7, lines, line
        line_4  0, 1, 2, 3, 9, 11, 13, 15, 0
        load_4  0, 1, 2, 3, lines, line
        line_4  4, 5, 6, 7, 9, 11, 13, 15, 1
        load_4  4, 5, 6, 7, lines, \over
        line_4  0, 1, 2, 3, 9, 11, 13, 15, 2
        ld1     {v0.8h, v1.8h}, [scales], \to_scales
        line_4  4, 5, 6, 7, 9, 11, 13, 15, 3

        widen_scales 0, 1
        ldur    s0, [lhs, #-8 - 40 * \half]
        ldur    s1, [lhs_b, #-8 - 40 * \half]
        ldur    s2, [lhs_c, #-8 - 40 * \half]
        ldur    s3, [lhs_d, #-8 - 40 * \half]
        add_to_sums_4 \half, 0, 16, 17, 18, 19, v0
        add_to_sums_4 \half, 1, 20, 21, 22, 23, v1
        add_to_sums_4 \half, 2, 24, 25, 26, 27, v2
        add_to_sums_4 \half, 3, 28, 29, 30, 31, v3
.endm

        .p2align 4
        .globl  midge_gemv_q8b32_4x32_neon_dot_add
        .hidden midge_gemv_q8b32_4x32_neon_dot_add
        .type   midge_gemv_q8b32_4x32_neon_dot_add, %function
midge_gemv_q8b32_4x32_neon_dot_add:
        hint    #34                     // bti c
        save_registers
        mov     scales, lines
        add     lines, lines, #64
        mov     to_scales, #1056
        mov     line, #128
        mov     back, #-832
        mov     block, #40
        add     lhs, lhs, #8
        add     lhs_b, lhs, stride
        add     lhs_c, lhs_b, stride
        add     lhs_d, lhs_c, stride
        .p2align 4
1:
        half_block 0, #32, back
        half_block 1, to_scales, line
        subs    units, units, #1
        b.ne    1b
        restore_registers
        ret
        .size   midge_gemv_q8b32_4x32_neon_dot_add, . - midge_gemv_q8b32_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
