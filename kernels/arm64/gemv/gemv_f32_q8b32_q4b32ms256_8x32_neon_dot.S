// The inner loop of gemv_f32_q8b32_q4b32ms256_8x32_neon_dot.cc: 32 output rows of one row of
// activations.
//
// void midge_gemv_q4b32ms256_1x32_neon_dot_add(const LhsBlock* lhs,        x0
//                                              int64_t lhs_stride,         x1  not used
//                                              const UnitQ4B32MS256* tile, x2
//                                              int64_t units,              x3  at least 1
//                                              GroupSums* sums)            x4
//
// A unit goes in two passes over its 8 blocks, each with a sum per output row in registers: first
// the minimums, then the products. The running sums take both from memory.
//
// With L the dot products of low nibbles and R those of whole bytes, 16 * (q[r + 16] - 8) + q[r],
// R starts from 128 * (sum of activations) = -16 * correction: the upper output rows have
// (R - L) / 16, which scvtf divides after the exact product with the scale.
//
// Registers beside those of nibbles_neon_dot.inc: v11 scale and correction, v12 and v13 values of the
// activations, v14 mask of 6 bits. sum0-sum7 are sums of the unit.
//
// A block (32 columns): 576 bytes, 1024 multiply-adds; 162 instructions for the products, of which 64
// sdot, and 41 for the minimums. Bound by the SIMD pipes.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"

lhs     .req x0
unit    .req x2
units   .req x3
sums    .req x4
packed  .req x5      // the 6-bit numbers of the next block
lines   .req x6      // next line to load
blocks  .req x7      // left in the pass
sums_1  .req x8      // those of the second half of the output rows
minimum_lhs .req x9  // activations of the first pass

.macro clear_sums
        movi    v16.4s, #0
        movi    v17.4s, #0
        movi    v18.4s, #0
        movi    v19.4s, #0
        movi    v20.4s, #0
        movi    v21.4s, #0
        movi    v22.4s, #0
        movi    v23.4s, #0
.endm

// 16 bytes in \from as int32 in v0, v1, v2, v3; may be one of them but v0.
.macro widen from
        ushll   v0.8h, \from\().8b, #0
        ushll2  \from\().8h, \from\().16b, #0
        ushll2  v3.4s, \from\().8h, #0
        ushll   v2.4s, \from\().4h, #0
        ushll2  v1.4s, v0.8h, #0
        ushll   v0.4s, v0.4h, #0
.endm

// Two registers of running sums at v\a and v\b += f16 scales of 8 output rows in v\half * unit sums.
.macro add_scaled half, a, b, unit_a, unit_b, times_eighth
        fcvtl   v8.4s, v\half\().4h
        fcvtl2  v9.4s, v\half\().8h
.if \times_eighth
        fmul    v8.4s, v8.4s, v15.4s
        fmul    v9.4s, v9.4s, v15.4s
.endif
        fmla    v\a\().4s, v8.4s, \unit_a\().4s
        fmla    v\b\().4s, v9.4s, \unit_b\().4s
.endm

// Running sums += f16 scales at \from * unit sums (* v15).
.macro finish_pass from, times_eighth
        ld1     {v0.8h, v1.8h, v2.8h, v3.8h}, [\from]
        ld1     {v24.4s, v25.4s, v26.4s, v27.4s}, [sums]
        ld1     {v28.4s, v29.4s, v30.4s, v31.4s}, [sums_1]
        add_scaled 0, 24, 25, sum0, sum1, \times_eighth
        add_scaled 2, 26, 27, sum4, sum5, \times_eighth
        add_scaled 1, 28, 29, sum2, sum3, \times_eighth
        add_scaled 3, 30, 31, sum6, sum7, \times_eighth
        st1     {v24.4s, v25.4s, v26.4s, v27.4s}, [sums]
        st1     {v28.4s, v29.4s, v30.4s, v31.4s}, [sums_1]
.endm

// Unit sums of 16 output rows += dot products * integer scales in v0-v3 * activation scale.
.macro add_products d0, d1, d2, d3, s0, s1, s2, s3, bits
        mul     \d0\().4s, \d0\().4s, v0.4s
        mul     \d1\().4s, \d1\().4s, v1.4s
        mul     \d2\().4s, \d2\().4s, v2.4s
        mul     \d3\().4s, \d3\().4s, v3.4s
.if \bits
        scvtf   \d0\().4s, \d0\().4s, #\bits
        scvtf   \d1\().4s, \d1\().4s, #\bits
        scvtf   \d2\().4s, \d2\().4s, #\bits
        scvtf   \d3\().4s, \d3\().4s, #\bits
.else
        scvtf   \d0\().4s, \d0\().4s
        scvtf   \d1\().4s, \d1\().4s
        scvtf   \d2\().4s, \d2\().4s
        scvtf   \d3\().4s, \d3\().4s
.endif
        fmla    \s0\().4s, \d0\().4s, v11.s[0]
        fmla    \s1\().4s, \d1\().4s, v11.s[0]
        fmla    \s2\().4s, \d2\().4s, v11.s[0]
        fmla    \s3\().4s, \d3\().4s, v11.s[0]
.endm

// Unit sums of 16 output rows += 6-bit minimums in v0-v3 * activations in v12.
.macro add_minimums s0, s1, s2, s3
        ucvtf   v0.4s, v0.4s
        ucvtf   v1.4s, v1.4s
        ucvtf   v2.4s, v2.4s
        ucvtf   v3.4s, v3.4s
        fmla    \s0\().4s, v0.4s, v12.s[0]
        fmla    \s1\().4s, v1.4s, v12.s[0]
        fmla    \s2\().4s, v2.4s, v12.s[0]
        fmla    \s3\().4s, v3.4s, v12.s[0]
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q4b32ms256_1x32_neon_dot_add
        .hidden midge_gemv_q4b32ms256_1x32_neon_dot_add
        .type   midge_gemv_q4b32ms256_1x32_neon_dot_add, %function
midge_gemv_q4b32ms256_1x32_neon_dot_add:
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        add     sums_1, sums, #256
        movi    mask.16b, #15
        movi    v14.16b, #63
        fmov    v15.4s, #0.125
1:
        // Minimums.
        add     packed, unit, #128
        mov     minimum_lhs, lhs
        mov     blocks, #8
        clear_sums
2:
        ldr     q6, [packed, #128]
        ldr     q5, [packed, #256]
        ldr     q7, [packed], #16
        ldr     d11, [minimum_lhs], #40
        ushr    v4.16b, v5.16b, #2
        sri     v4.16b, v6.16b, #4
        sri     v4.16b, v7.16b, #6
        and     v5.16b, v5.16b, v14.16b
        dup     v12.2s, v11.s[1]
        scvtf   v12.2s, v12.2s
        fmul    v12.2s, v12.2s, v11.2s
        subs    blocks, blocks, #1
        widen   v5
        add_minimums sum0, sum1, sum2, sum3
        widen   v4
        add_minimums sum4, sum5, sum6, sum7
        b.ne    2b
        add     x10, unit, #64
        finish_pass x10, 1

        // Products.
        add     packed, unit, #128
        add     lines, unit, #512
        mov     blocks, #8
        clear_sums
        .p2align 4
3:
        load    wa, lines, #64
        ldr     d11, [lhs], #8
        ld1     {v12.16b, v13.16b}, [lhs], #32
        shl     v9.2s, v11.2s, #4
        neg     v9.2s, v9.2s
        movi    dot0.4s, #0
        movi    dot1.4s, #0
        movi    dot2.4s, #0
        movi    dot3.4s, #0
        dup     dot4.4s, v9.s[1]
        dup     dot5.4s, v9.s[1]
        dup     dot6.4s, v9.s[1]
        dup     dot7.4s, v9.s[1]
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
        load    wb, lines, #64
        multiply wa, v13, 2
        multiply wb, v13, 3

        ldr     q4, [packed, #128]
        ldr     q5, [packed], #16
        subs    blocks, blocks, #1
        sub     dot4.4s, dot4.4s, dot0.4s
        sub     dot5.4s, dot5.4s, dot1.4s
        sub     dot6.4s, dot6.4s, dot2.4s
        sub     dot7.4s, dot7.4s, dot3.4s
        and     v4.16b, v4.16b, v14.16b
        and     v5.16b, v5.16b, v14.16b
        widen   v5
        add_products dot0, dot1, dot2, dot3, sum0, sum1, sum2, sum3, 0
        widen   v4
        add_products dot4, dot5, dot6, dot7, sum4, sum5, sum6, sum7, 4
        b.ne    3b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b

        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32ms256_1x32_neon_dot_add, . - midge_gemv_q4b32ms256_1x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
