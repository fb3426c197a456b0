// The inner loop of gemv_f32_q8b32_q8b32_8x32_neon.cc: 32 output rows of one row of activations, for
// cores without dot products.
//
// void midge_gemv_q8b32_1x32_neon_add(const LhsBlock* lhs,   x0
//                                     int64_t lhs_stride,    x1  not used
//                                     const UnitQ8B32* tile, x2
//                                     int64_t units,         x3  at least 1
//                                     RowSums* sums)       x4
//
// Sixteen bits hold two products, at most 2 * 128 * 127 = 32512: those of two lines, which are then
// added to int32 sums in pairs.
//
// Registers
//   v0, v1   32 bytes of a line, v2, v3 of the next line; scales
//   v4, v5   int16 products; v4 scale of the activations
//   v6, v7   4 activations, four times, of these two lines
//   v8-v15   sums: rows 0-7, 16-23, 8-15, 24-31
//   v16-v31  int32 sums of 2 rows x 2 pairs of columns; then dot products of 4 rows in the even and
//            scales in the odd ones
//
// A block (32 columns): 1088 bytes, 1024 multiply-adds, 278 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)

lhs     .req x0
values  .req x2        // of the current unit
units   .req x3
sums    .req x4
to_next_block .req x5  // from the last activations of a block to the first of the next
sums_1  .req x6        // those of the second half of the output rows

// 4 rows of two lines.
.macro multiply how, w0, w1, sum0, sum1
        smull   v4.8h, \w0\().8b, v6.8b
        smull2  v5.8h, \w0\().16b, v6.16b
        smlal   v4.8h, \w1\().8b, v7.8b
        smlal2  v5.8h, \w1\().16b, v7.16b
        \how    \sum0\().4s, v4.8h
        \how    \sum1\().4s, v5.8h
.endm

// Two lines. \how: saddlp starts the int32 sums, sadalp goes on with them.
.macro two_lines how, at
        ldp     q0, q1, [values, #\at]
        ldp     q2, q3, [values, #\at + 128]
        multiply \how, v0, v2, v16, v17
        multiply \how, v1, v3, v18, v19
        ldp     q0, q1, [values, #\at + 32]
        ldp     q2, q3, [values, #\at + 160]
        multiply \how, v0, v2, v20, v21
        multiply \how, v1, v3, v22, v23
        ldp     q0, q1, [values, #\at + 64]
        ldp     q2, q3, [values, #\at + 192]
        multiply \how, v0, v2, v24, v25
        multiply \how, v1, v3, v26, v27
        ldp     q0, q1, [values, #\at + 96]
        ldp     q2, q3, [values, #\at + 224]
        multiply \how, v0, v2, v28, v29
        multiply \how, v1, v3, v30, v31
.endm

// sum += dot * (4 scales * activation scale). `dot` and `scale` hold the halves of the dot products.
.macro add_product sum, dot, scale, convert, scales, part
        addp    \dot\().4s, \dot\().4s, \scale\().4s
        \convert \scale\().4s, \scales\().\part
        fmul    \scale\().4s, \scale\().4s, v4.s[0]
        scvtf   \dot\().4s, \dot\().4s
        fmla    \sum\().4s, \dot\().4s, \scale\().4s
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q8b32_1x32_neon_add
        .hidden midge_gemv_q8b32_1x32_neon_add
        .type   midge_gemv_q8b32_1x32_neon_add, %function
midge_gemv_q8b32_1x32_neon_add:
        hint    #34                     // bti c
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]

        add     lhs, lhs, #8
        add     values, values, #64
        mov     to_next_block, #12
        add     sums_1, sums, #256
        ld1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]

        .p2align 4
1:
        ld1r    {v6.4s}, [lhs], #4
        ld1r    {v7.4s}, [lhs], #4
        two_lines saddlp, 0
        ld1r    {v6.4s}, [lhs], #4
        ld1r    {v7.4s}, [lhs], #4
        two_lines sadalp, 256
        ld1r    {v6.4s}, [lhs], #4
        ld1r    {v7.4s}, [lhs], #4
        two_lines sadalp, 512
        ld1r    {v6.4s}, [lhs], #4
        ld1r    {v7.4s}, [lhs], to_next_block
        two_lines sadalp, 768

        ldp     q0, q1, [values, #-64]
        ldp     q2, q3, [values, #-32]
        ldr     s4, [lhs, #-48]
        add_product v8, v16, v17, fcvtl, v0, 4h
        add_product v9, v18, v19, fcvtl2, v0, 8h
        add_product v12, v20, v21, fcvtl, v1, 4h
        add_product v13, v22, v23, fcvtl2, v1, 8h
        add_product v10, v24, v25, fcvtl, v2, 4h
        add_product v11, v26, v27, fcvtl2, v2, 8h
        add_product v14, v28, v29, fcvtl, v3, 4h
        add_product v15, v30, v31, fcvtl2, v3, 8h
        add     values, values, #1088
        subs    units, units, #1
        b.ne    1b

        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q8b32_1x32_neon_add, . - midge_gemv_q8b32_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
