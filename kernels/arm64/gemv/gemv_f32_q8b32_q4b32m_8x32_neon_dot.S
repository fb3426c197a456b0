// The inner loops of gemv_f32_q8b32_q4b32m_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations.
//
// void midge_gemv_q4b32m_1x32_neon_dot_add(const LhsBlock* lhs,    x0
//                                          int64_t lhs_stride,     x1  not used for 1 row
//                                          const UnitQ4B32M* tile, x2
//                                          int64_t units,          x3  at least 1
//                                          RowSums* sums)        x4
//
// The dot products are those of q4b32; block_sums.inc adds them and the minimums.
//
// Registers beside those of nibbles_neon_dot.inc: v11 scale and correction, v12 and v13 values of
// the activations, v14 scale * correction, v15 -1/8. At the end of a block v0-v7 have its scales,
// v24-v31 dot products, then minimums.
//
// 2 rows: those of rows_nibbles_neon_dot.inc; at the end of a block v6 has the rows' scale *
// correction in lanes 1 and 3 and -1/8 in lane 0. 4 rows: also those of block_sums.inc.
//
// A block (32 columns): 640 bytes; with 1 row 1024 multiply-adds in 188 instructions, with 2 rows
// 2048 in 313, with 4 rows 4096 in 564. Bound by the SIMD pipes.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"
#include "kernels/arm64/gemv/rows_nibbles_neon_dot.inc"
#include "kernels/arm64/gemv/block_sums.inc"

scales  .req x5       // of the block, then its minimums
to_scales .req x7     // from the minimums of a block to the next scales
over_scales .req x8   // from the last line of a block to the first of the next
sums_1  .req x9       // those of the second half of the output rows

.macro load_scales_2
        load4   v0, v1, v2, v3, scales, #64
.endm

// Ends half of the output rows of 2 rows of activations: scales in s0-s3, f16 minimums at \at.
.macro end_half half, s0, s1, s2, s3, a0, a1, a2, a3, b0, b1, b2, b3, sums_a, sums_b
        add_products \a0, \a1, \a2, \a3, v7, 0, \s0, \s1, \s2, \s3, \sums_a
        ldr     q8, [scales, #16 * \half]
        ldr     q10, [scales, #16 * \half + 32]
        fneg    \a0\().4s, \s0\().4s
        fneg    \a1\().4s, \s1\().4s
        fneg    \a2\().4s, \s2\().4s
        fneg    \a3\().4s, \s3\().4s
        widen_8_scales v8, v9
        widen_8_scales v10, v11
        fmla    \a0\().4s, v8.4s, v6.s[0]
        fmla    \a1\().4s, v9.4s, v6.s[0]
        fmla    \a2\().4s, v10.4s, v6.s[0]
        fmla    \a3\().4s, v11.4s, v6.s[0]
        add_middles v6.s[1], \a0, \a1, \a2, \a3, v12, v13, v14, v15
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\sums_a]
        add_products \b0, \b1, \b2, \b3, v7, 2, \s0, \s1, \s2, \s3, \sums_b
        add_middles v6.s[3], \a0, \a1, \a2, \a3, v12, v13, v14, v15
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\sums_b]
.endm

.macro load_half_scales half
        ldr     q0, [lines, #16 * \half - 128]
        ldr     q1, [lines, #16 * \half - 96]
.endm

// Half of the output rows of 4 rows of activations.
.macro half_block half
        movi    v5.16b, #15
        half_dots_4 \half, load_half_scales
        uzp2    v5.4s, v6.4s, v7.4s
        uzp1    v4.4s, v6.4s, v7.4s
        scvtf   v5.4s, v5.4s
        fmul    v5.4s, v5.4s, v4.4s
        end_rows 4, 1, 4, lines, 16 * \half - 64, sums_at
.endm

        .text

        begin   midge_gemv_q4b32m_1x32_neon_dot_add
        mov     scales, unit
        add     lines, unit, #128
        mov     to_scales, #576
        mov     over_scales, #192
        add     sums_1, sums, #256
        movi    mask.16b, #15
        fmov    v15.4s, #-0.125
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
        .p2align 4
1:
        load    wa, lines, #64
        ldr     d11, [lhs], #8
        ld1     {v12.16b, v13.16b}, [lhs], #32
        start_dots v11, 1
        load    wb, lines, #64
        multiply wa, v12, 0
        load    wa, lines, #64
        multiply wb, v12, 1
        load    wb, lines, #64
        multiply wa, v12, 2
        load    wa, lines, #64
        multiply wb, v12, 3
        load    wb, lines, #64
        multiply wa, v13, 0
        load    wa, lines, #64
        multiply wb, v13, 1
        load    wb, lines, over_scales
        multiply wa, v13, 2
        load    wa, scales, #64
        multiply wb, v13, 3

        subs    units, units, #1
        scale_correction v14, v11
        sub     dot4.4s, dot4.4s, dot0.4s
        sub     dot5.4s, dot5.4s, dot1.4s
        sub     dot6.4s, dot6.4s, dot2.4s
        sub     dot7.4s, dot7.4s, dot3.4s
        widen_32_scales
        add_products_16 v11.s[0], dot0, dot1, dot2, dot3, v0, v4, v1, v5, v8, v9, v12, v13, sum0, sum1, sum2, sum3
        add_products_16 v11.s[0], dot4, dot5, dot6, dot7, v2, v6, v3, v7, v8, v9, v12, v13, sum4, sum5, sum6, sum7, 4
        ld1     {v24.16b, v25.16b, v26.16b, v27.16b}, [scales], to_scales
        make_middles 1, v0, v4, v1, v5, v0, v4, v1, v5, v24, v25, v15, v28
        make_middles 1, v2, v6, v3, v7, v2, v6, v3, v7, v26, v27, v15, v29
        add_middles v14.s[1], v0, v4, v1, v5, sum0, sum1, sum2, sum3
        add_middles v14.s[1], v2, v6, v3, v7, sum4, sum5, sum6, sum7
        b.ne    1b
        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
        end     midge_gemv_q4b32m_1x32_neon_dot_add

        begin   midge_gemv_q4b32m_2x32_neon_dot_add
        start_2
        mov     scales, unit
        add     lines, unit, #128
        mov     over_scales, #192
        mov     w16, #0xbe000000  // -1/8
        .p2align 4
1:
        movi    v6.16b, #15
        dots_2  over_scales, load_scales_2
        trn1    v8.4s, v7.4s, v7.4s
        scvtf   v6.4s, v7.4s
        fmul    v6.4s, v6.4s, v8.4s
        mov     v6.s[0], w16
        widen_8_scales v0, v4
        widen_8_scales v2, v5
        end_half 0, v0, v4, v2, v5, v16, v17, v20, v21, v24, v25, v28, v29, sums, sums_b
        widen_8_scales v1, v4
        widen_8_scales v3, v5
        end_half 1, v1, v4, v3, v5, v18, v19, v22, v23, v26, v27, v30, v31, sums_a1, sums_b1
        add     scales, scales, #576
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32m_2x32_neon_dot_add

        begin   midge_gemv_q4b32m_4x32_neon_dot_add
        start_4
        add     lines, unit, #128
        .p2align 4
1:
        load_scales_4
        half_block 0
        half_block 1
        add     lines, lines, #640
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32m_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
