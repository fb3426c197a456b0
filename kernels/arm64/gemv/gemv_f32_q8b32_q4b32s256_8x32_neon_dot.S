// The inner loop of gemv_f32_q8b32_q4b32s256_8x32_neon_dot.cc: 32 output rows of one row of
// activations.
//
// void midge_gemv_q4b32s256_1x32_neon_dot_add(const LhsBlock* lhs,       x0
//                                             int64_t lhs_stride,        x1  not used
//                                             const UnitQ4B32S256* tile, x2
//                                             int64_t units,             x3  at least 1
//                                             GroupSums* sums)           x4
//
// The products of nibbles are those of gemv_f32_q8b32_q4b32_1x32_neon_dot.S. A sub-scale s = 0..15
// as the bits of an f16 is the subnormal s * 2^-24, so fcvtl turns it into a float; the f32 scales of
// the unit, on the stack, are multiplied by 2^24 instead. Both and their product are exact.
//
// Registers beside those of nibbles_neon_dot.inc: v11 scale and correction, v12 and v13 values of the
// activations. At the end of a block v0-v2 have sub-scales, v4-v7 scales.
//
// A block (32 columns): 528 bytes, 1024 multiply-adds, 169 instructions, of which 64 sdot. Bound by
// the SIMD pipes.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"

lhs     .req x0
unit    .req x2
units   .req x3
sums    .req x4
sub_scales .req x5   // of the next block
lines   .req x6      // next line to load
blocks  .req x7      // left in the unit
sums_1  .req x8      // those of the second half of the output rows
upper_scales .req x9 // f32 scales of output rows 16..31 on the stack; those of 0..15 are at sp

// s0..s3 = sub-scales (16 bytes in `sub`) * scales of the unit * activation scale.
.macro make_scales sub, from
        ushll   v1.8h, \sub\().8b, #0
        ushll2  v2.8h, \sub\().16b, #0
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\from]
        fcvtl   v4.4s, v1.4h
        fcvtl2  v5.4s, v1.8h
        fcvtl   v6.4s, v2.4h
        fcvtl2  v7.4s, v2.8h
        fmul    v4.4s, v4.4s, v12.4s
        fmul    v5.4s, v5.4s, v13.4s
        fmul    v6.4s, v6.4s, v14.4s
        fmul    v7.4s, v7.4s, v15.4s
        fmul    v4.4s, v4.4s, v11.s[0]
        fmul    v5.4s, v5.4s, v11.s[0]
        fmul    v6.4s, v6.4s, v11.s[0]
        fmul    v7.4s, v7.4s, v11.s[0]
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q4b32s256_1x32_neon_dot_add
        .hidden midge_gemv_q4b32s256_1x32_neon_dot_add
        .type   midge_gemv_q4b32s256_1x32_neon_dot_add, %function
midge_gemv_q4b32s256_1x32_neon_dot_add:
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        sub     sp, sp, #128
        add     upper_scales, sp, #64
        add     sums_1, sums, #256
        movi    mask.16b, #15
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
1:
        // The scales of 256 columns. 0x4b800000 is 2^24.
        ld1     {v0.8h, v1.8h, v2.8h, v3.8h}, [unit]
        movi    v4.4s, #0x4b, lsl #24
        orr     v4.4s, #0x80, lsl #16
        fcvtl   v12.4s, v0.4h
        fcvtl2  v13.4s, v0.8h
        fcvtl   v14.4s, v1.4h
        fcvtl2  v15.4s, v1.8h
        fmul    v12.4s, v12.4s, v4.4s
        fmul    v13.4s, v13.4s, v4.4s
        fmul    v14.4s, v14.4s, v4.4s
        fmul    v15.4s, v15.4s, v4.4s
        mov     x10, sp
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [x10]
        fcvtl   v12.4s, v2.4h
        fcvtl2  v13.4s, v2.8h
        fcvtl   v14.4s, v3.4h
        fcvtl2  v15.4s, v3.8h
        fmul    v12.4s, v12.4s, v4.4s
        fmul    v13.4s, v13.4s, v4.4s
        fmul    v14.4s, v14.4s, v4.4s
        fmul    v15.4s, v15.4s, v4.4s
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [upper_scales]
        add     sub_scales, unit, #64
        add     lines, unit, #192
        mov     blocks, #8

        .p2align 4
2:
        load    wa, lines, #64
        ldr     d11, [lhs], #8
        ld1     {v12.16b, v13.16b}, [lhs], #32
        start_dots act0, 1
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
        ldr     q0, [sub_scales], #16
        multiply wb, v13, 3

        and     low0.16b, v0.16b, mask.16b
        ushr    v0.16b, v0.16b, #4
        make_scales low0, x10
        sub     dot4.4s, dot4.4s, dot0.4s
        sub     dot5.4s, dot5.4s, dot1.4s
        sub     dot6.4s, dot6.4s, dot2.4s
        sub     dot7.4s, dot7.4s, dot3.4s
        scvtf   dot0.4s, dot0.4s
        scvtf   dot1.4s, dot1.4s
        scvtf   dot2.4s, dot2.4s
        scvtf   dot3.4s, dot3.4s
        fmla    sum0.4s, dot0.4s, v4.4s
        fmla    sum1.4s, dot1.4s, v5.4s
        fmla    sum2.4s, dot2.4s, v6.4s
        fmla    sum3.4s, dot3.4s, v7.4s
        make_scales v0, upper_scales
        scvtf   dot4.4s, dot4.4s, #4
        scvtf   dot5.4s, dot5.4s, #4
        scvtf   dot6.4s, dot6.4s, #4
        scvtf   dot7.4s, dot7.4s, #4
        fmla    sum4.4s, dot4.4s, v4.4s
        fmla    sum5.4s, dot5.4s, v5.4s
        fmla    sum6.4s, dot6.4s, v6.4s
        fmla    sum7.4s, dot7.4s, v7.4s
        subs    blocks, blocks, #1
        b.ne    2b
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b

        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
        add     sp, sp, #128
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32s256_1x32_neon_dot_add, . - midge_gemv_q4b32s256_1x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
