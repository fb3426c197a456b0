// The inner loop of gemv_f32_q8b32_q4b32_1x32_neon_dot.cc: 32 output rows of one row of activations.
//
// void midge_gemv_q4b32_1x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                         int64_t lhs_stride,    x1  not used
//                                         const UnitQ4B32* tile, x2
//                                         int64_t units,         x3  at least 1
//                                         RowSums* sums)       x4
//
// Registers
//   v0-v3, v4-v7   a line of nibbles each, loaded one line ahead; byte 4r + i of wN: rows 4N + r (low
//                  nibble) and 16 + 4N + r (high). At the end of a block one of them has its scales.
//   v8, v9         low nibbles
//   v10            0x0f
//   v11-v15        activations of two blocks as they lie in memory, 80 bytes:
//                  v11 = scale, correction, 0..7 | v12 = 8..23 | v13 = 24..31, scale, correction |
//                  v14 = 0..15 | v15 = 16..31
//   v16-v23        sums: rows 0-7, 16-23, 8-15, 24-31
//   v24-v27 lower  int32: dot product of the low nibbles + correction
//   v28-v31 upper  int32: dot product of the whole bytes + correction, 16 times that of the upper
//                  row more than the lower's
//
// Two blocks an iteration (64 columns): 1152 bytes, 2048 multiply-adds, 303 instructions, of which
// 128 sdot and 64 and. Bound by the two SIMD pipes of big cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"

lhs     .req x0
tile    .req x2
units   .req x3
sums    .req x4
scales  .req x5   // of the current block
lines   .req x8   // next line to load
to_scales   .req x6 // from one block's scales to the next's
over_scales .req x7 // from the last line of a block to the first of the next
sums_1  .req x9   // those of the second half of the output rows

// The eight lines of a block. The first is in `w`; at the end `w` has the scales and `v` is free.
.macro multiply_block w, v, act_a, lane_a, act_b, lane_b, act_c, lane_c, act_d, lane_d
        load    \v, lines, #64
        multiply \w, \act_a, \lane_a
        load    \w, lines, #64
        multiply \v, \act_a, \lane_a + 1
        load    \v, lines, #64
        multiply \w, \act_b, \lane_b
        load    \w, lines, #64
        multiply \v, \act_b, \lane_b + 1
        load    \v, lines, #64
        multiply \w, \act_c, \lane_c
        load    \w, lines, #64
        multiply \v, \act_c, \lane_c + 1
        load    \v, lines, over_scales
        multiply \w, \act_d, \lane_d
        load    \w, scales, to_scales
        multiply \v, \act_d, \lane_d + 1
.endm

// sums += dots * (scales in `s` * activation scale).
.macro scale_lower s, act, lane
        fcvtl2  low0.4s, \s\()0.8h
        fcvtl2  low1.4s, \s\()1.8h
        fcvtl   \s\()0.4s, \s\()0.4h
        fcvtl   \s\()1.4s, \s\()1.4h
        sub     dot4.4s, dot4.4s, dot0.4s
        sub     dot5.4s, dot5.4s, dot1.4s
        sub     dot6.4s, dot6.4s, dot2.4s
        sub     dot7.4s, dot7.4s, dot3.4s
        fmul    \s\()0.4s, \s\()0.4s, \act\().s[\lane]
        fmul    low0.4s, low0.4s, \act\().s[\lane]
        fmul    \s\()1.4s, \s\()1.4s, \act\().s[\lane]
        fmul    low1.4s, low1.4s, \act\().s[\lane]
        scvtf   dot0.4s, dot0.4s
        scvtf   dot1.4s, dot1.4s
        scvtf   dot2.4s, dot2.4s
        scvtf   dot3.4s, dot3.4s
        fmla    sum0.4s, dot0.4s, \s\()0.4s
        fmla    sum1.4s, dot1.4s, low0.4s
        fmla    sum2.4s, dot2.4s, \s\()1.4s
        fmla    sum3.4s, dot3.4s, low1.4s
        fcvtl2  low0.4s, \s\()2.8h
        fcvtl2  low1.4s, \s\()3.8h
        fcvtl   \s\()2.4s, \s\()2.4h
        fcvtl   \s\()3.4s, \s\()3.4h
        fmul    \s\()2.4s, \s\()2.4s, \act\().s[\lane]
        fmul    low0.4s, low0.4s, \act\().s[\lane]
        fmul    \s\()3.4s, \s\()3.4s, \act\().s[\lane]
        fmul    low1.4s, low1.4s, \act\().s[\lane]
.endm

.macro scale_upper s
        scvtf   dot4.4s, dot4.4s, #4
        scvtf   dot5.4s, dot5.4s, #4
        scvtf   dot6.4s, dot6.4s, #4
        scvtf   dot7.4s, dot7.4s, #4
        fmla    sum4.4s, dot4.4s, \s\()2.4s
        fmla    sum5.4s, dot5.4s, low0.4s
        fmla    sum6.4s, dot6.4s, \s\()3.4s
        fmla    sum7.4s, dot7.4s, low1.4s
.endm

.macro load_act
        ld1     {act0.16b, act1.16b, act2.16b, act3.16b}, [lhs], #64
        ldr     q15, [lhs], #16
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q4b32_1x32_neon_dot_add
        .hidden midge_gemv_q4b32_1x32_neon_dot_add
        .type   midge_gemv_q4b32_1x32_neon_dot_add, %function
midge_gemv_q4b32_1x32_neon_dot_add:
        hint    #34                     // bti c
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]

        mov     scales, tile
        add     lines, tile, #64
        mov     to_scales, #576
        mov     over_scales, #128
        movi    mask.16b, #15
        add     sums_1, sums, #256
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]

        tbz     units, #0, 1f
        // An odd number of blocks: the first is taken as the second of a pair.
        ld1     {act2.d}[1], [lhs], #8
        ld1     {act3.16b, act4.16b}, [lhs], #32
        load    wb, lines, #64
        start_dots act2, 3
        add     units, units, #1
        b       3f
1:
        load_act
        load    wa, lines, #64
        start_dots act0, 1

        .p2align 4
2:
        multiply_block wa, wb, act0, 2, act1, 0, act1, 2, act2, 0
        load    wb, lines, #64
        scale_lower wa, act0, 0
        scale_upper wa
        start_dots act2, 3
3:
        multiply_block wb, wa, act3, 0, act3, 2, act4, 0, act4, 2
        scale_lower wb, act2, 2
        subs    units, units, #2
        b.eq    4f
        load_act
        load    wa, lines, #64
        scale_upper wb
        start_dots act0, 1
        b       2b
4:
        scale_upper wb

        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sums]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [sums_1]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32_1x32_neon_dot_add, . - midge_gemv_q4b32_1x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
