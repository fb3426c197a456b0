// The inner loop of gemv_f32_q8b32_q4b32m_8x32_neon.cc: 32 output rows of one row of activations,
// for cores without dot products.
//
// void midge_gemv_q4b32m_1x32_neon_add(const LhsBlock* lhs,    x0
//                                      int64_t lhs_stride,     x1  not used
//                                      const UnitQ4B32M* tile, x2
//                                      int64_t units,          x3  at least 1
//                                      RowSums* sums)        x4
//
// The dot products are those of gemv_f32_q8b32_q4b32_8x32_neon.S; block_sums.inc adds them and the
// minimums.
//
// Registers: those of gemv_f32_q8b32_q4b32_8x32_neon.S. At the end of a block the odd ones of
// v17-v31 have its scales, v0-v3 products of scales, v16, v18, v24, v26 its minimums, v5 scale and
// correction, v20 scale * correction, v7 -1/8.
//
// A block (32 columns): 640 bytes, 1024 multiply-adds, 312 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)

#include "kernels/arm64/gemv/nibbles_neon.inc"
#include "kernels/arm64/gemv/block_sums.inc"

        .text
        begin   midge_gemv_q4b32m_1x32_neon_add
        add     block, x2, #64
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
        ldp     q0, q1, [block, #-64]
        ldp     q2, q3, [block, #-32]
        subs    units, units, #1
        fcvtl   v17.4s, v0.4h
        fcvtl2  v19.4s, v0.8h
        fcvtl   v21.4s, v1.4h
        fcvtl2  v23.4s, v1.8h
        fcvtl   v25.4s, v2.4h
        fcvtl2  v27.4s, v2.8h
        fcvtl   v29.4s, v3.4h
        fcvtl2  v31.4s, v3.8h
        add_products_16 v5.s[0], v16, v18, v20, v22, v17, v19, v21, v23, v0, v1, v2, v3, v8, v9, v12, v13
        add_products_16 v5.s[0], v24, v26, v28, v30, v25, v27, v29, v31, v0, v1, v2, v3, v10, v11, v14, v15
        ldp     q16, q18, [block]
        ldp     q24, q26, [block, #32]
        scale_correction v20, v5
        fmov    v7.4s, #-0.125
        make_middles 1, v17, v19, v21, v23, v17, v19, v21, v23, v16, v18, v7, v4
        make_middles 1, v25, v27, v29, v31, v25, v27, v29, v31, v24, v26, v7, v22
        add_middles v20.s[1], v17, v19, v21, v23, v8, v9, v12, v13
        add_middles v20.s[1], v25, v27, v29, v31, v10, v11, v14, v15
        add     block, block, #640
        b.ne    1b

        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]
        end     midge_gemv_q4b32m_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
