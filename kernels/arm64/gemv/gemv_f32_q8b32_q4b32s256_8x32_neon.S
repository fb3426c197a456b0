// The inner loop of gemv_f32_q8b32_q4b32s256_8x32_neon.cc: 32 output rows of one row of activations, for
// cores without dot products.
//
// void midge_gemv_q4b32s256_1x32_neon_add(const LhsBlock* lhs,       x0
//                                         int64_t lhs_stride,        x1  not used
//                                         const UnitQ4B32S256* tile, x2
//                                         int64_t units,             x3  at least 1
//                                         RowSums* sums)           x4
//
// The products of nibbles are those of gemv_f32_q8b32_q4b32_8x32_neon.S, the scales those of
// gemv_f32_q8b32_q4b32s256_8x32_neon_dot.S: sub-scales as subnormal f16, the scales of the unit times
// 2^24 on the stack.
//
// Registers: those of gemv_f32_q8b32_q4b32_8x32_neon.S.
//
// A block (32 columns): 528 bytes, 1024 multiply-adds, 290 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)

#include "kernels/arm64/gemv/nibbles_neon.inc"

sub_scales .req x5   // of the next block
blocks  .req x7      // left in the unit
lower_scales .req x9 // f32 scales of output rows 0..15, on the stack
upper_scales .req x11

        .text
        .p2align 4
        .globl  midge_gemv_q4b32s256_1x32_neon_add
        .hidden midge_gemv_q4b32s256_1x32_neon_add
        .type   midge_gemv_q4b32s256_1x32_neon_add, %function
midge_gemv_q4b32s256_1x32_neon_add:
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

        sub     sp, sp, #128
        mov     lower_scales, sp
        add     upper_scales, sp, #64
1:
        // The scales of 256 columns. 0x4b800000 is 2^24.
        ld1     {v0.8h, v1.8h, v2.8h, v3.8h}, [block], #64
        mov     sub_scales, block
        add     block, block, #64
        mov     blocks, #8
        movi    v4.4s, #0x4b, lsl #24
        orr     v4.4s, #0x80, lsl #16
        fcvtl   v16.4s, v0.4h
        fcvtl2  v17.4s, v0.8h
        fcvtl   v18.4s, v1.4h
        fcvtl2  v19.4s, v1.8h
        fcvtl   v20.4s, v2.4h
        fcvtl2  v21.4s, v2.8h
        fcvtl   v22.4s, v3.4h
        fcvtl2  v23.4s, v3.8h
        .irp    n, 16, 17, 18, 19, 20, 21, 22, 23
        fmul    v\n\().4s, v\n\().4s, v4.4s
        .endr
        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [lower_scales]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [upper_scales]

        .p2align 4
2:
        block_dots
        add_correction
        ldr     q0, [sub_scales], #16
        and     v4.16b, v0.16b, v6.16b
        ushr    v0.16b, v0.16b, #4
        ushll   v1.8h, v4.8b, #0
        ushll2  v2.8h, v4.16b, #0
        ushll   v3.8h, v0.8b, #0
        ushll2  v7.8h, v0.16b, #0
        fcvtl   v17.4s, v1.4h
        fcvtl2  v19.4s, v1.8h
        fcvtl   v21.4s, v2.4h
        fcvtl2  v23.4s, v2.8h
        fcvtl   v25.4s, v3.4h
        fcvtl2  v27.4s, v3.8h
        fcvtl   v29.4s, v7.4h
        fcvtl2  v31.4s, v7.8h
        ld1     {v0.4s, v1.4s, v2.4s, v3.4s}, [lower_scales]
        fmul    v17.4s, v17.4s, v0.4s
        fmul    v19.4s, v19.4s, v1.4s
        fmul    v21.4s, v21.4s, v2.4s
        fmul    v23.4s, v23.4s, v3.4s
        ld1     {v0.4s, v1.4s, v2.4s, v3.4s}, [upper_scales]
        fmul    v25.4s, v25.4s, v0.4s
        fmul    v27.4s, v27.4s, v1.4s
        fmul    v29.4s, v29.4s, v2.4s
        fmul    v31.4s, v31.4s, v3.4s
        add_products
        add     block, block, #512
        subs    blocks, blocks, #1
        b.ne    2b
        add     block, block, #64
        subs    units, units, #1
        b.ne    1b
        add     sp, sp, #128

        st1     {v8.4s, v9.4s, v10.4s, v11.4s}, [sums]
        st1     {v12.4s, v13.4s, v14.4s, v15.4s}, [sums_1]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     d8, d9, [sp], #64
        ret
        .size   midge_gemv_q4b32s256_1x32_neon_add, . - midge_gemv_q4b32s256_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
