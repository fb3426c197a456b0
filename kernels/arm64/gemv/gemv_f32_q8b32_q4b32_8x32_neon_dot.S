// The inner loops of gemv_f32_q8b32_q4b32_8x32_neon_dot.cc: 32 output rows of 2 and of 4 rows of
// activations.
//
// void midge_gemv_q4b32_{2,4}x32_neon_dot_add(const LhsBlock* lhs,   x0
//                                             int64_t lhs_stride,    x1
//                                             const UnitQ4B32* tile, x2
//                                             int64_t units,         x3  at least 1
//                                             RowSums* sums)       x4
//
// The registers are those of rows_nibbles_neon_dot.inc.
//
// A block (32 columns) is 576 bytes; with 2 rows 2048 multiply-adds in 263 instructions, with 4 rows
// 4096 in 492. Bound by the SIMD pipes.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/rows_nibbles_neon_dot.inc"

scales  .req x7
to_scales   .req x8   // from one block's scales to the next's
over_scales .req x9   // from the last line of a block to the first of the next

.macro load_scales_2
        load4   v0, v1, v2, v3, scales, to_scales
.endm

.macro load_half_scales half
        ldur    q0, [lines, #-64 + 16 * \half]
        ldur    q1, [lines, #-32 + 16 * \half]
.endm

// v\low, v\high: f16 scales of 8 lower and of 8 upper output rows; their floats go to v\low,
// v\low2, v\high, v\high2.
.macro widen_scales low, high, low2, high2
        fcvtl2  v\low2\().4s, v\low\().8h
        fcvtl2  v\high2\().4s, v\high\().8h
        fcvtl   v\low\().4s, v\low\().4h
        fcvtl   v\high\().4s, v\high\().4h
.endm

        .text

        begin   midge_gemv_q4b32_2x32_neon_dot_add
        start_2
        mov     scales, unit
        add     lines, unit, #64
        mov     to_scales, #576
        mov     over_scales, #128
        .p2align 4
1:
        dots_2  over_scales, load_scales_2
        widen_scales 0, 2, 4, 5
        end_half_2 0, v0, v4, v2, v5
        widen_scales 1, 3, 4, 5
        end_half_2 1, v1, v4, v3, v5
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32_2x32_neon_dot_add

        begin   midge_gemv_q4b32_4x32_neon_dot_add
        start_4
        add     lines, unit, #64
        .p2align 4
1:
        load_scales_4
        half_dots_4 0, load_half_scales
        widen_scales 0, 1, 2, 3
        end_half_4 v0, v2, v1, v3
        half_dots_4 1, load_half_scales
        widen_scales 0, 1, 2, 3
        end_half_4 v0, v2, v1, v3
        add     lines, lines, #576
        subs    units, units, #1
        b.ne    1b
        end     midge_gemv_q4b32_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
