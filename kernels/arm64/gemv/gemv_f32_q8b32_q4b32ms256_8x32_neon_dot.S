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
#include "kernels/arm64/gemv/units_s256.inc"

        .text
        .p2align 4
        .globl  midge_gemv_q4b32ms256_1x32_neon_dot_add
        .hidden midge_gemv_q4b32ms256_1x32_neon_dot_add
        .type   midge_gemv_q4b32ms256_1x32_neon_dot_add, %function
midge_gemv_q4b32ms256_1x32_neon_dot_add:
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
#endif
        .section .note.GNU-stack, "", %progbits
