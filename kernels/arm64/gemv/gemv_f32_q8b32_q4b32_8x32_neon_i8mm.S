// The inner loop of gemv_f32_q8b32_q4b32_8x32_neon_i8mm.cc: 32 output rows of 4 rows of activations
// (a, b, c, d), by smmla: 2 rows of activations x 2 output rows x 8 columns an instruction.
//
// void midge_gemv_q4b32_4x32_neon_i8mm_add(const LhsBlock* lhs,   x0
//                                          int64_t lhs_stride,    x1
//                                          const UnitQ4B32* tile, x2
//                                          int64_t units,         x3  at least 1
//                                          RowSums* sums)       x4
//
// zip of two lines, 4 columns of 4 output rows each, makes 8 columns of 2 rows, nibbles still
// packed. Low nibbles and whole bytes are multiplied as in gemv_f32_q8b32_q4b32_1x32_neon_dot.S.
// Dot products and sums are [2 rows of activations][2 output rows]; from the first to the last
// unit RowSums has the sums of a half of the output rows in that order: upper ones of a and b, of
// c and d, lower ones of a and b, of c and d.
//
// Registers, one half of the output rows at a time
//   v0-v3    two lines (half of each); products of scales
//   v4       low nibbles; activation scales of a and b
//   v5       0x0f; activation scales of c and d
//   v6, v7   scale, correction of a and of b; of c and d
//   v8-v11   16 values of a and b, c and d, a and b, c and d; scales twice in each pair of lanes
//   v12-v15  the next two lines; sums
//   v16-v31  dot products by pairs of output rows: lower of a and b, of c and d, upper of a and b,
//            of c and d
// On the stack: the values of a block, as in v8-v11.
//
// A block (32 columns): 576 bytes, 4096 multiply-adds, 427 instructions, of which 128 smmla. Bound
// by the SIMD pipes.
#if defined(__aarch64__)
        .arch   armv8.2-a+i8mm

lhs     .req x0
stride  .req x1
unit    .req x2
units   .req x3
sums    .req x4
lhs_b   .req x5
lhs_c   .req x6
lhs_d   .req x7
values_1 .req x8      // columns 16-31 on the stack; 0-15 are at sp
sums_at .req x9       // the next ones

// Dot products of an octet of columns in two lines (half of each): 4 lower and 4 upper output rows
// from \w0 and \w2, the next 4 from \w1 and \w3. ab, cd: activations.
.macro multiply_octet w0, w1, w2, w3, ab, cd
        zip1    v4.4s, \w0\().4s, \w2\().4s
        zip2    \w0\().4s, \w0\().4s, \w2\().4s
        zip1    \w2\().4s, \w1\().4s, \w3\().4s
        zip2    \w1\().4s, \w1\().4s, \w3\().4s
        and     \w3\().16b, v4.16b, v5.16b
        smmla   v24.4s, \ab\().16b, v4.16b
        smmla   v28.4s, \cd\().16b, v4.16b
        and     v4.16b, \w0\().16b, v5.16b
        smmla   v25.4s, \ab\().16b, \w0\().16b
        smmla   v29.4s, \cd\().16b, \w0\().16b
        smmla   v16.4s, \ab\().16b, \w3\().16b
        smmla   v20.4s, \cd\().16b, \w3\().16b
        and     \w0\().16b, \w2\().16b, v5.16b
        smmla   v26.4s, \ab\().16b, \w2\().16b
        smmla   v30.4s, \cd\().16b, \w2\().16b
        smmla   v17.4s, \ab\().16b, v4.16b
        smmla   v21.4s, \cd\().16b, v4.16b
        and     \w3\().16b, \w1\().16b, v5.16b
        smmla   v27.4s, \ab\().16b, \w1\().16b
        smmla   v31.4s, \cd\().16b, \w1\().16b
        smmla   v18.4s, \ab\().16b, \w0\().16b
        smmla   v22.4s, \cd\().16b, \w0\().16b
        smmla   v19.4s, \ab\().16b, \w3\().16b
        smmla   v23.4s, \cd\().16b, \w3\().16b
.endm

.macro load_2_lines w0, w1, w2, w3, at
        ldp     q\w0, q\w1, [unit, #\at]
        ldp     q\w2, q\w3, [unit, #\at + 64]
.endm

// Starts dot products of two rows from their corrections.
.macro start_pair act, a, b, c, d
        trn2    v\a\().4s, \act\().4s, \act\().4s
        trn2    v\b\().4s, \act\().4s, \act\().4s
        trn2    v\c\().4s, \act\().4s, \act\().4s
        trn2    v\d\().4s, \act\().4s, \act\().4s
.endm

// v8-v11 = the 8 f16 scales in \from, pairs of them twice. What lies between the two parts hides the
// latency of the first on in-order cores.
.macro widen_scales from
        fcvtl   v8.4s, \from\().4h
        fcvtl2  v10.4s, \from\().8h
.endm

.macro double_scales
        zip2    v9.2d, v8.2d, v8.2d
        zip2    v11.2d, v10.2d, v10.2d
        zip1    v8.2d, v8.2d, v8.2d
        zip1    v10.2d, v10.2d, v10.2d
.endm

// \bits of fraction.
.macro to_floats bits, a, b, c, d
.if \bits
        scvtf   v\a\().4s, v\a\().4s, #\bits
        scvtf   v\b\().4s, v\b\().4s, #\bits
        scvtf   v\c\().4s, v\c\().4s, #\bits
        scvtf   v\d\().4s, v\d\().4s, #\bits
.else
        scvtf   v\a\().4s, v\a\().4s
        scvtf   v\b\().4s, v\b\().4s
        scvtf   v\c\().4s, v\c\().4s
        scvtf   v\d\().4s, v\d\().4s
.endif
.endm

// The next sums of two rows += dots * (scales in v8-v11 * activation scales).
.macro add_products act, a, b, c, d
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at]
        fmul    v0.4s, v8.4s, \act\().4s
        fmul    v1.4s, v9.4s, \act\().4s
        fmul    v2.4s, v10.4s, \act\().4s
        fmul    v3.4s, v11.4s, \act\().4s
        fmla    v12.4s, v\a\().4s, v0.4s
        fmla    v13.4s, v\b\().4s, v1.4s
        fmla    v14.4s, v\c\().4s, v2.4s
        fmla    v15.4s, v\d\().4s, v3.4s
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_at], #64
.endm

.macro subtract_low a, b, c, d, low_a, low_b, low_c, low_d
        sub     v\a\().4s, v\a\().4s, v\low_a\().4s
        sub     v\b\().4s, v\b\().4s, v\low_b\().4s
        sub     v\c\().4s, v\c\().4s, v\low_c\().4s
        sub     v\d\().4s, v\d\().4s, v\low_d\().4s
.endm

// Output rows 8h..8h+7 and 16+8h..16+8h+7 of a block, h = \half. v8-v11 have the first activations.
.macro half_block half
        load_2_lines 0, 1, 2, 3, 64 + 32 * \half
        movi    v5.16b, #15
        start_pair v6, 16, 17, 18, 19
        start_pair v7, 20, 21, 22, 23
        start_pair v6, 24, 25, 26, 27
        start_pair v7, 28, 29, 30, 31
        load_2_lines 12, 13, 14, 15, 192 + 32 * \half
        multiply_octet v0, v1, v2, v3, v8, v9
        load_2_lines 0, 1, 2, 3, 320 + 32 * \half
        multiply_octet v12, v13, v14, v15, v10, v11
        ld1     {v8.16b, v9.16b, v10.16b, v11.16b}, [values_1]
        load_2_lines 12, 13, 14, 15, 448 + 32 * \half
        multiply_octet v0, v1, v2, v3, v8, v9
        ldr     q0, [unit, #32 + 16 * \half]
        multiply_octet v12, v13, v14, v15, v10, v11

        widen_scales v0
        trn1    v4.4s, v6.4s, v6.4s
        trn1    v5.4s, v7.4s, v7.4s
        subtract_low 24, 25, 26, 27, 16, 17, 18, 19
        subtract_low 28, 29, 30, 31, 20, 21, 22, 23
        double_scales
        to_floats 4, 24, 25, 26, 27
        to_floats 4, 28, 29, 30, 31
        add_products v4, 24, 25, 26, 27
        ldr     q24, [unit, #16 * \half]
        add_products v5, 28, 29, 30, 31
        widen_scales v24
        to_floats 0, 16, 17, 18, 19
        to_floats 0, 20, 21, 22, 23
        double_scales
        add_products v4, 16, 17, 18, 19
        add_products v5, 20, 21, 22, 23
.endm

.macro load_sums
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums], #64
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums], #64
        ld1     {v24.4s, v25.4s, v26.4s, v27.4s}, [sums], #64
        ld1     {v28.4s, v29.4s, v30.4s, v31.4s}, [sums]
        sub     sums, sums, #192
.endm

// \x, \y = the lower and the upper halves of \a and \b.
.macro join x, y, a, b
        zip1    v\x\().2d, v\a\().2d, v\b\().2d
        zip2    v\y\().2d, v\a\().2d, v\b\().2d
.endm

.macro store_sums
        st1     {v0.4s, v1.4s, v2.4s, v3.4s}, [sums], #64
        st1     {v4.4s, v5.4s, v6.4s, v7.4s}, [sums], #64
        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums], #64
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums], #64
.endm

// Half of RowSums, by rows, to pairs of rows.
.macro pair_sums
        load_sums
        join    8, 9, 16, 20
        join    10, 11, 17, 21
        join    12, 13, 24, 28
        join    14, 15, 25, 29
        join    0, 1, 18, 22
        join    2, 3, 19, 23
        join    4, 5, 26, 30
        join    6, 7, 27, 31
        store_sums
.endm

// And back.
.macro part_sums
        load_sums
        join    0, 4, 24, 25
        join    1, 5, 26, 27
        join    8, 12, 28, 29
        join    9, 13, 30, 31
        join    2, 6, 16, 17
        join    3, 7, 18, 19
        join    10, 14, 20, 21
        join    11, 15, 22, 23
        store_sums
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q4b32_4x32_neon_i8mm_add
        .hidden midge_gemv_q4b32_4x32_neon_i8mm_add
        .type   midge_gemv_q4b32_4x32_neon_i8mm_add, %function
midge_gemv_q4b32_4x32_neon_i8mm_add:
        hint    #34                     // bti c
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        sub     sp, sp, #128
        add     values_1, sp, #64
        add     lhs_b, lhs, stride
        add     lhs_c, lhs_b, stride
        add     lhs_d, lhs_c, stride
        pair_sums
        pair_sums
        sub     sums, sums, #512
        .p2align 4
1:
        ldr     d6, [lhs], #8
        ldr     d7, [lhs_c], #8
        ld1     {v6.d}[1], [lhs_b], #8
        ld1     {v7.d}[1], [lhs_d], #8
        ld1     {v0.16b, v1.16b}, [lhs], #32
        ld1     {v2.16b, v3.16b}, [lhs_b], #32
        ld1     {v12.16b, v13.16b}, [lhs_c], #32
        ld1     {v14.16b, v15.16b}, [lhs_d], #32
        join    8, 10, 0, 2
        join    9, 11, 12, 14
        join    16, 18, 1, 3
        join    17, 19, 13, 15
        st1     {v8.16b, v9.16b, v10.16b, v11.16b}, [sp]
        st1     {v16.16b, v17.16b, v18.16b, v19.16b}, [values_1]
        mov     sums_at, sums
        half_block 0
        ld1     {v8.16b, v9.16b, v10.16b, v11.16b}, [sp]
        half_block 1
        add     unit, unit, #576
        subs    units, units, #1
        b.ne    1b

        part_sums
        part_sums
        add     sp, sp, #128
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32_4x32_neon_i8mm_add, . - midge_gemv_q4b32_4x32_neon_i8mm_add
#endif
        .section .note.GNU-stack, "", %progbits
