// The inner loop of gemv_f32_q8b32_q4b32_8x32_neon.cc: 32 output rows of one row of activations, for
// cores without dot products.
//
// void midge_gemv_q4b32_1x32_neon_add(const LhsBlock* lhs,   x0
//                                     int64_t lhs_stride,    x1  not used
//                                     const UnitQ4B32* tile, x2
//                                     int64_t units,         x3  at least 1
//                                     RowSums* sums)       x4
//
// Sixteen bits hold the products of a lane: 8 of a low nibble with an activation, at most
// 8 * 15 * 127, and also two lanes' sum, 30480. A shift to the right gives the high nibbles signed.
//
// Registers
//   v0-v3    a line of nibbles, then its high nibbles; scales
//   v4       low nibbles; correction
//   v5, v7   4 activations, four times, of this line and the next; v5 scale, correction
//   v6       0x0f
//   v8-v15   sums: rows 0-7, 16-23, 8-15, 24-31
//   v16-v23  int16 products of the low, v24-v31 of the high nibbles: 2 rows x 4 columns each; then
//            int32 dot products of 4 rows in the even and scales in the odd ones
//
// A block (32 columns): 576 bytes, 1024 multiply-adds, 275 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)

#include "kernels/arm64/gemv/nibbles_neon.inc"

        .text
        .p2align 4
        .globl  midge_gemv_q4b32_1x32_neon_add
        .hidden midge_gemv_q4b32_1x32_neon_add
        .type   midge_gemv_q4b32_1x32_neon_add, %function
midge_gemv_q4b32_1x32_neon_add:
        hint    #34                     // bti c
        stp     d8, d9, [sp, #-64]!
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]

        mov     block, x2
        add     lhs, lhs, #8
        mov     to_next_block, #12
        add     sums_1, sums, #256
        movi    v6.16b, #15
        ld1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        ld1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]

        .p2align 4
1:
        block_dots
        add_correction
        ldp     q0, q1, [block]
        ldp     q2, q3, [block, #32]
        fcvtl   v17.4s, v0.4h
        fcvtl2  v19.4s, v0.8h
        fcvtl   v21.4s, v1.4h
        fcvtl2  v23.4s, v1.8h
        fcvtl   v25.4s, v2.4h
        fcvtl2  v27.4s, v2.8h
        fcvtl   v29.4s, v3.4h
        fcvtl2  v31.4s, v3.8h
        add_products
        add     block, block, #576
        subs    units, units, #1
        b.ne    1b

        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32_1x32_neon_add, . - midge_gemv_q4b32_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
