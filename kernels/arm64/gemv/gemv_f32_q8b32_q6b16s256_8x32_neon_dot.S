// The inner loop of gemv_f32_q8b32_q6b16s256_8x32_neon_dot.cc: 32 output rows of one row of
// activations.
//
// void midge_gemv_q6b16s256_1x32_neon_dot_add(const LhsBlock* lhs,       x0
//                                             int64_t lhs_stride,        x1  not used
//                                             const UnitQ6B16S256* tile, x2
//                                             int64_t units,             x3  at least 1
//                                             GroupSums* sums)           x4
//
// A block goes by halves of the output rows, 8h..8h+7 and 16+8h..16+8h+7, so that everything stays in
// registers. High nibbles are unpacked to q - 32, low ones to q - 64, see upper_bits.inc: the dot products
// of low ones start from 32 * (sum of the run's activations).
//
// Registers
//   v0-v5    pairs of vectors of 4 rows: upper bits, nibbles of the first and of the second line; the
//            first and the last change places from group to group
//   v6-v9    unpacked high nibbles; integer scales
//   v10-v12  0x0f, 0x33, 0xee
//   v13, v14 values of the activations: the first and the second run
//   v15      32 * their sums in lanes 0 and 1, their scale in lane 3
//   v16-v23  sums of the unit: rows 0-7, 16-23, 8-15, 24-31
//   v24-v27  int32 dot products of a run: rows 8h..8h+7, 16+8h..16+8h+7
//   v28-v31  the block's sums of integer scale * dot product
//
// A block (32 columns): 832 bytes, 1024 multiply-adds, 318 instructions, of which 64 sdot. Bound by the
// two SIMD pipes of big cores.
#if defined(__aarch64__)
        .arch   armv8.2-a+dotprod
#include "kernels/arm64/gemv/upper_bits.inc"

sum0    .req v16
sum1    .req v17
sum2    .req v20
sum3    .req v21
sum4    .req v18
sum5    .req v19
sum6    .req v22
sum7    .req v23

#include "kernels/arm64/gemv/units_s256.inc"

// A group of 8 columns and its products with activations \lane and \lane + 1. Its upper bits are in h,
// its second line in b; the next group, at lines + \next if there is one, comes in the opposite way.
.macro group h0, h1, b0, b1, act, lane, next=0
        add_upper_bits v\h0, v\h1, v2, v3, v\b0, v\b1, v6, v7, v8, v9
.if \next
        ldp     q\b0, q\b1, [lines, #\next]
.endif
        sdot    v24.4s, v2.16b, \act\().4b[\lane]
        sdot    v25.4s, v3.16b, \act\().4b[\lane]
        sdot    v26.4s, v6.16b, \act\().4b[\lane]
        sdot    v27.4s, v7.16b, \act\().4b[\lane]
.if \next
        ldp     q2, q3, [lines, #\next + 64]
.endif
        sdot    v24.4s, v\h0\().16b, \act\().4b[\lane + 1]
        sdot    v25.4s, v\h1\().16b, \act\().4b[\lane + 1]
        sdot    v26.4s, v8.16b, \act\().4b[\lane + 1]
        sdot    v27.4s, v9.16b, \act\().4b[\lane + 1]
.if \next
        ldp     q\h0, q\h1, [lines, #\next + 128]
.endif
.endm

.macro start_run run
        dup     v24.4s, v15.s[\run]
        dup     v25.4s, v15.s[\run]
        movi    v26.4s, #0
        movi    v27.4s, #0
.endm

// Half of the output rows of a block, at lines + \at.
.macro half_block at, half, bytes, s0, s1, s4, s5
        ldp     q0, q1, [lines, #\at]
        ldp     q2, q3, [lines, #\at + 64]
        ldp     q4, q5, [lines, #\at + 128]
        start_run 0
        group   0, 1, 4, 5, v13, 0, \at + 192
        group   4, 5, 0, 1, v13, 2, \at + 384
        scale_run 0, mul, \half, \bytes, v28, v29, v30, v31, v24, v25, v26, v27
        start_run 1
        group   0, 1, 4, 5, v14, 0, \at + 576
        group   4, 5, 0, 1, v14, 2
        scale_run 1, mla, \half, \bytes, v28, v29, v30, v31, v24, v25, v26, v27
        add_integers v15.s[3], v28, v29, v30, v31, \s0, \s1, \s4, \s5
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q6b16s256_1x32_neon_dot_add
        .hidden midge_gemv_q6b16s256_1x32_neon_dot_add
        .type   midge_gemv_q6b16s256_1x32_neon_dot_add, %function
midge_gemv_q6b16s256_1x32_neon_dot_add:
        save_registers
        add     sums_1, sums, #256
        add     values, lhs, #8
        mov     lhs_block, #40
        start_masks
1:
        add     packed, unit, #64
        add     lines, unit, #576
        mov     blocks, #8
        clear_sums
        .p2align 4
2:
        ld1     {v13.16b, v14.16b}, [values], lhs_block
        sum_activations
        half_block 0, , 8b, sum0, sum1, sum4, sum5
        half_block 32, 2, 16b, sum2, sum3, sum6, sum7
        add     packed, packed, #64
        add     lines, lines, #768
        subs    blocks, blocks, #1
        b.ne    2b
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        restore_registers
        ret
        .size   midge_gemv_q6b16s256_1x32_neon_dot_add, . - midge_gemv_q6b16s256_1x32_neon_dot_add
#endif
        .section .note.GNU-stack, "", %progbits
