// The inner loops of gemv_f32_q8b32_q4b32ms256_8x32_neon_dot.cc: 32 output rows of 1, 2 or 4 rows
// of activations.
//
// void midge_gemv_q4b32ms256_1x32_neon_dot_add(const LhsBlock* lhs,        x0
//                                              int64_t lhs_stride,         x1  not used for 1 row
//                                              const UnitQ4B32MS256* tile, x2
//                                              int64_t units,              x3  at least 1
//                                              RowSums* sums)            x4
//
// A unit goes in two passes over its 8 blocks, each with a sum per output row in registers: first
// the minimums, then the products. The running sums take both from memory.
//
// With L the dot products of low nibbles and R those of whole bytes, 16 * (q[r + 16] - 8) + q[r],
// R starts from 128 * (sum of activations) = -16 * correction: the upper output rows have
// (R - L) / 16, which scvtf divides after the exact product with the scale.
//
// Registers beside those of nibbles_neon_dot.inc: v11 scale and correction, v12 and v13 values of
// the activations, v14 mask of 6 bits. sum0-sum7 are sums of the unit.
//
// A block (32 columns): 576 bytes, 1024 multiply-adds; 162 instructions for the products, of which
// 64 sdot, and 41 for the minimums. Bound by the SIMD pipes.
//
// The same for 2 and 4 rows goes by halves of the output rows, with the registers of
// rows_s256_neon_dot.inc: 306 and 534 instructions for the products of a block, 66 and 85 for the
// minimums.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/nibbles_neon_dot.inc"
#include "kernels/arm64/gemv/units_s256.inc"
#include "kernels/arm64/gemv/rows_s256_neon_dot.inc"

// The dot products of a row start from 0 and, of high nibbles, from -16 * correction.
.macro start_row row_lhs, a, b, c, d
        ldr     w16, [\row_lhs, #4]
        movi    v\a\().4s, #0
        movi    v\b\().4s, #0
        neg     w16, w16, lsl #4
        dup     v\c\().4s, w16
        dup     v\d\().4s, w16
.endm

.macro subtract_low a, b, c, d
        sub     v\c\().4s, v\c\().4s, v\a\().4s
        sub     v\d\().4s, v\d\().4s, v\b\().4s
.endm

// Half a line in w; the half of the next one, at lines + \next if there is one, goes to n.
.macro rows_line rows, w0, w1, n0, n1, lane, next=0
        and     v2.16b, v\w0\().16b, v10.16b
        and     v3.16b, v\w1\().16b, v10.16b
.if \next
        ldp     q\n0, q\n1, [lines, #\next]
.endif
        rows_products \rows, v2, v3, v\w0, v\w1, \lane
.endm

.macro rows_dots rows
        ldp     q0, q1, [lines]
        load_values \rows, 8
        start_row lhs, 16, 17, 18, 19
        start_row lhs_1, 20, 21, 22, 23
.if \rows == 4
        start_row lhs_2, 24, 25, 26, 27
        start_row lhs_3, 28, 29, 30, 31
.endif
        rows_line \rows, 0, 1, 4, 5, 0, 64
        rows_line \rows, 4, 5, 0, 1, 1, 128
        rows_line \rows, 0, 1, 4, 5, 2, 192
        rows_line \rows, 4, 5, 0, 1, 3, 256
        load_values \rows, 24
        rows_line \rows, 0, 1, 4, 5, 0, 320
        rows_line \rows, 4, 5, 0, 1, 1, 384
        rows_line \rows, 0, 1, 4, 5, 2, 448
        rows_line \rows, 4, 5, 0, 1, 3
        subtract_low 16, 17, 18, 19
        subtract_low 20, 21, 22, 23
.if \rows == 4
        subtract_low 24, 25, 26, 27
        subtract_low 28, 29, 30, 31
.endif
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q4b32ms256_1x32_neon_dot_add
        .hidden midge_gemv_q4b32ms256_1x32_neon_dot_add
        .type   midge_gemv_q4b32ms256_1x32_neon_dot_add, %function
midge_gemv_q4b32ms256_1x32_neon_dot_add:
        hint    #34                     // bti c
        save_registers
        add     sums_1, sums, #256
        movi    mask.16b, #15
        movi    v14.16b, #63
2:
        minimum_pass 0
        start_products
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

        load_scales 5, 4, 14
        subs    blocks, blocks, #1
        sub     dot4.4s, dot4.4s, dot0.4s
        sub     dot5.4s, dot5.4s, dot1.4s
        sub     dot6.4s, dot6.4s, dot2.4s
        sub     dot7.4s, dot7.4s, dot3.4s
        widen   v5
        add_scaled_dots v11.s[0], dot0, dot1, dot2, dot3, sum0, sum1, sum2, sum3
        widen   v4
        add_scaled_dots v11.s[0], dot4, dot5, dot6, dot7, sum4, sum5, sum6, sum7, 4
        b.ne    3b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    2b
        restore_registers
        ret
        .size   midge_gemv_q4b32ms256_1x32_neon_dot_add, . - midge_gemv_q4b32ms256_1x32_neon_dot_add

        .p2align 4
        .globl  midge_gemv_q4b32ms256_2x32_neon_dot_add
        .hidden midge_gemv_q4b32ms256_2x32_neon_dot_add
        .type   midge_gemv_q4b32ms256_2x32_neon_dot_add, %function
midge_gemv_q4b32ms256_2x32_neon_dot_add:
        hint    #34                     // bti c
        add_rows 2, rows_dots, 512, 4
        .size   midge_gemv_q4b32ms256_2x32_neon_dot_add, . - midge_gemv_q4b32ms256_2x32_neon_dot_add

        .p2align 4
        .globl  midge_gemv_q4b32ms256_4x32_neon_dot_add
        .hidden midge_gemv_q4b32ms256_4x32_neon_dot_add
        .type   midge_gemv_q4b32ms256_4x32_neon_dot_add, %function
midge_gemv_q4b32ms256_4x32_neon_dot_add:
        hint    #34                     // bti c
        add_rows 4, rows_dots, 512, 4
        .size   midge_gemv_q4b32ms256_4x32_neon_dot_add, . - midge_gemv_q4b32ms256_4x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
