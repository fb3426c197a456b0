// The inner loop of gemv_f32_q8b32_q8b32_8x32_neon_dot.cc: 32 output rows of one row of activations.
//
// void midge_gemv_q8b32_1x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                         int64_t lhs_stride,    x1  not used
//                                         const UnitQ8B32* tile, x2
//                                         int64_t units,         x3  at least 1
//                                         GroupSums* sums)       x4
//
// Registers
//   v0-v3, v4-v7  half a line each, loaded one half ahead: rows 0-15 and 16-31 of 4 columns; scales
//   v8, v9        activations; v10 their scale
//   v16-v23       int32 dot products of rows 4i..4i+3
//   v24-v31       sums: rows 0-7, 16-23, 8-15, 24-31
//
// A block (32 columns): 1088 bytes, 1024 multiply-adds, 125 instructions, of which 64 sdot. Bound by
// loads: 68 bytes of weights for every 4 sdot.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod

lhs     .req x0
lines   .req x2   // next half of a line to load
units   .req x3
sums    .req x4
scales  .req x5   // of the current unit
to_scales   .req x6   // from one unit's scales to the next's
over_scales .req x7   // from the last half of a unit to the first of the next
sums_1  .req x8   // those of the second half of the output rows

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
#endif
        .section .note.GNU-stack, "", %progbits
