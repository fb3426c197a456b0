// The inner loops of gemv_f32_q8b32_q4b32s256_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows of
// activations.
//
// void midge_gemv_q4b32s256_1x32_neon_dot_add(const LhsBlock* lhs,       x0
//                                             int64_t lhs_stride,        x1  not used for 1 row
//                                             const UnitQ4B32S256* tile, x2
//                                             int64_t units,             x3  at least 1
//                                             RowSums* sums)           x4
//
// The products of nibbles are those of the kernels for q4b32. A sub-scale s = 0..15 as the bits of
// an f16 is the subnormal s * 2^-24, so fcvtl turns it into a float; the f32 scales of the unit, on
// the stack in the order of RowSums, are multiplied by 2^24 instead. Both and their product are
// exact.
//
// Registers beside those of nibbles_neon_dot.inc: v11 scale and correction, v12 and v13 values of
// the activations. At the end of a half v0-v3 have scales, v4 and v5 sub-scales, v12-v15 those of
// the unit. 2 and 4 rows: those of rows_nibbles_neon_dot.inc.
//
// A block (32 columns): 528 bytes, 1024 multiply-adds, 169 instructions, of which 64 sdot. Bound by
// the SIMD pipes. With 2 and 4 rows it takes 279 and 506 instructions.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"
#include "kernels/arm64/gemv/rows_nibbles_neon_dot.inc"

sub_scales .req x5   // of the next block
blocks  .req x7      // left in the unit
sums_1  .req x8      // those of the second half of the output rows
half_1  .req x10     // scales of the second half of the output rows on the stack

// On the stack: the f32 scales of the unit * 2^24 (0x4b800000). Starts its blocks.
.macro start_unit
        ld1     {v0.8h, v1.8h, v2.8h, v3.8h}, [unit]
        movi    v8.4s, #0x4b, lsl #24
        orr     v8.4s, #0x80, lsl #16
        start_half v0, v2, sp
        start_half v1, v3, half_1
        add     sub_scales, unit, #64
        add     lines, unit, #192
        mov     blocks, #8
.endm

.macro start_half lower, upper, to
        fcvtl   v12.4s, \lower\().4h
        fcvtl2  v13.4s, \lower\().8h
        fcvtl   v14.4s, \upper\().4h
        fcvtl2  v15.4s, \upper\().8h
        fmul    v12.4s, v12.4s, v8.4s
        fmul    v13.4s, v13.4s, v8.4s
        fmul    v14.4s, v14.4s, v8.4s
        fmul    v15.4s, v15.4s, v8.4s
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\to]
.endm

// v0, v1 (lower output rows) and v2, v3 (upper ones) = sub-scales * scales of the unit. sub: bytes
// of both nibbles, widened to 16 bits.
.macro half_scales sub, low_nibbles, from
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [\from]
        and     v1.16b, \sub\().16b, \low_nibbles\().16b
        ushr    \sub\().8h, \sub\().8h, #4
        fcvtl   v0.4s, v1.4h
        fcvtl2  v1.4s, v1.8h
        fcvtl   v2.4s, \sub\().4h
        fcvtl2  v3.4s, \sub\().8h
        fmul    v0.4s, v0.4s, v12.4s
        fmul    v1.4s, v1.4s, v13.4s
        fmul    v2.4s, v2.4s, v14.4s
        fmul    v3.4s, v3.4s, v15.4s
.endm

// 1 row: sums of a half += dots * scales in v0-v3 * activation scale.
.macro add_half dot0, dot1, dot2, dot3, sum0, sum1, sum2, sum3
        sub     \dot2\().4s, \dot2\().4s, \dot0\().4s
        sub     \dot3\().4s, \dot3\().4s, \dot1\().4s
        scvtf   \dot0\().4s, \dot0\().4s
        scvtf   \dot1\().4s, \dot1\().4s
        fmul    v0.4s, v0.4s, v11.s[0]
        fmul    v1.4s, v1.4s, v11.s[0]
        fmul    v2.4s, v2.4s, v11.s[0]
        fmul    v3.4s, v3.4s, v11.s[0]
        scvtf   \dot2\().4s, \dot2\().4s, #4
        scvtf   \dot3\().4s, \dot3\().4s, #4
        fmla    \sum0\().4s, \dot0\().4s, v0.4s
        fmla    \sum1\().4s, \dot1\().4s, v1.4s
        fmla    \sum2\().4s, \dot2\().4s, v2.4s
        fmla    \sum3\().4s, \dot3\().4s, v3.4s
.endm

.macro load_sub_scales
        ldr     q0, [sub_scales], #16
.endm

.macro load_half_sub_scales half
        ldr     d0, [sub_scales], #8
.endm

        .text

        begin   midge_gemv_q4b32s256_1x32_neon_dot_add
        sub     sp, sp, #128
        add     half_1, sp, #64
        add     sums_1, sums, #256
        movi    mask.16b, #15
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
1:
        start_unit
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
        load_sub_scales
        multiply wb, v13, 3

        ushll   v4.8h, v0.8b, #0
        ushll2  v5.8h, v0.16b, #0
        half_scales v4, mask, sp
        add_half dot0, dot1, dot4, dot5, sum0, sum1, sum4, sum5
        half_scales v5, mask, half_1
        add_half dot2, dot3, dot6, dot7, sum2, sum3, sum6, sum7
        subs    blocks, blocks, #1
        b.ne    2b
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
        add     sp, sp, #128
        end     midge_gemv_q4b32s256_1x32_neon_dot_add

        begin   midge_gemv_q4b32s256_2x32_neon_dot_add
        sub     sp, sp, #128
        add     half_1, sp, #64
        start_2
1:
        start_unit
        .p2align 4
2:
        dots_2  #64, load_sub_scales
        ushll   v4.8h, v0.8b, #0
        ushll2  v5.8h, v0.16b, #0
        half_scales v4, v6, sp
        end_half_2 0, v0, v1, v2, v3
        half_scales v5, v6, half_1
        end_half_2 1, v0, v1, v2, v3
        subs    blocks, blocks, #1
        b.ne    2b
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        add     sp, sp, #128
        end     midge_gemv_q4b32s256_2x32_neon_dot_add

        begin   midge_gemv_q4b32s256_4x32_neon_dot_add
        sub     sp, sp, #128
        add     half_1, sp, #64
        start_4
1:
        start_unit
        .p2align 4
2:
        load_scales_4
        half_dots_4 0, load_half_sub_scales
        ushll   v4.8h, v0.8b, #0
        half_scales v4, v5, sp
        end_half_4 v0, v1, v2, v3
        half_dots_4 1, load_half_sub_scales
        ushll   v4.8h, v0.8b, #0
        half_scales v4, v5, half_1
        end_half_4 v0, v1, v2, v3
        add     lines, lines, #512
        subs    blocks, blocks, #1
        b.ne    2b
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        add     sp, sp, #128
        end     midge_gemv_q4b32s256_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
