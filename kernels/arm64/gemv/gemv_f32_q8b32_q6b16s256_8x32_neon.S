// The inner loop of gemv_f32_q8b32_q6b16s256_8x32_neon.cc: 32 output rows of one row of
// activations, for cores without dot products.
//
// void midge_gemv_q6b16s256_1x32_neon_add(const LhsBlock* lhs,       x0
//                                         int64_t lhs_stride,        x1  not used
//                                         const UnitQ6B16S256* tile, x2
//                                         int64_t units,             x3  at least 1
//                                         RowSums* sums)           x4
//
// As in gemv_f32_q8b32_q6b16s256_8x32_neon_dot.S a block goes by halves of the output rows, and low
// nibbles become q - 64. Sixteen bits hold the sum of 4 products with these, at most 4 * 64 * 127,
// and of 8 products with q - 32.
//
// Registers
//   v0-v5    pairs of vectors of 4 rows: upper bits, nibbles of the first and of the second line; the
//            first and the last change places from eight columns to the next
//   v6-v9    unpacked weights of the second line; integer scales
//   v10-v12  0x0f, 0x33, 0xee
//   v13, v14 4 activations, four times: the first and the second line
//   v15      32 * the sums of the sixteens' activations in lanes 0 and 1, their scale in lane 3
//   v16-v19  the block's sums of integer scale * dot product: rows 8h..8h+7, 16+8h..16+8h+7
//   v20-v23  sums of the unit, which lie on the stack in the order of RowSums
//   v24-v31  int16 products; then dot products of 4 rows in the even ones
//
// A block (32 columns): 832 bytes, 1024 multiply-adds, 438 instructions, of which 128 multiply.
// Bound by the one multiplier of small cores.
#if defined(__aarch64__)
#include "kernels/arm64/gemv/products_neon.inc"
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

to_first .req x11    // from the last activations of a block to its first
to_next_block .req x12 // and to the first of the next block
unit_sums_1 .req x13 // the second half of the unit's sums on the stack

// Eight columns. Their upper bits are in h, their second line in b; the next eight, at lines +
// \next if there are any, come in the opposite way.
.macro eight h0, h1, b0, b1, how, step, next=0
        ld1r    {v13.4s}, [values], #4
        ld1r    {v14.4s}, [values], \step
        add_upper_bits v\h0, v\h1, v2, v3, v\b0, v\b1, v6, v7, v8, v9, v12
.if \next
        ldp     q\b0, q\b1, [lines, #\next]
.endif
        products \how, v24, v25, v2, v13
        products \how, v26, v27, v3, v13
        products \how, v28, v29, v\h0, v13
        products \how, v30, v31, v\h1, v13
.if \next
        ldp     q2, q3, [lines, #\next + 64]
        ldp     q\h0, q\h1, [lines, #\next + 128]
.endif
        products smlal, v24, v25, v6, v14
        products smlal, v26, v27, v7, v14
        products smlal, v28, v29, v8, v14
        products smlal, v30, v31, v9, v14
.endm

.macro finish_sixteen sixteen, how, half, bytes
        dup     v6.4s, v15.s[\sixteen]
        join_wide v24, v25
        join_wide v26, v27
        join    v28, v29
        join    v30, v31
        add     v24.4s, v24.4s, v6.4s
        add     v26.4s, v26.4s, v6.4s
        scale_sixteen \sixteen, \how, \half, \bytes, v16, v17, v18, v19, v24, v26, v28, v30
.endm

// Half of the output rows of a block, at lines + \at, whose sums are at \sums.
.macro half_block at, half, bytes, step, sums
        ldp     q0, q1, [lines, #\at]
        ldp     q2, q3, [lines, #\at + 64]
        ldp     q4, q5, [lines, #\at + 128]
        eight   0, 1, 4, 5, smull, #4, \at + 192
        eight   4, 5, 0, 1, smlal, #4, \at + 384
        finish_sixteen 0, mul, \half, \bytes
        eight   0, 1, 4, 5, smull, #4, \at + 576
        eight   4, 5, 0, 1, smlal, \step
        finish_sixteen 1, mla, \half, \bytes
        ld1     {v20.4s, v21.4s, v22.4s, v23.4s}, [\sums]
        add_integers v15.s[3], v16, v17, v18, v19, v20, v21, v22, v23
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [\sums]
.endm

        .text
        .p2align 4
        .globl  midge_gemv_q6b16s256_1x32_neon_add
        .hidden midge_gemv_q6b16s256_1x32_neon_add
        .type   midge_gemv_q6b16s256_1x32_neon_add, %function
midge_gemv_q6b16s256_1x32_neon_add:
        hint    #34                     // bti c
        save_registers
        sub     sp, sp, #128
        add     unit_sums_1, sp, #64
        add     sums_1, sums, #256
        add     values, lhs, #8
        mov     lhs_block, #40
        mov     to_first, #-28
        mov     to_next_block, #12
        start_masks
1:
        request_head 9
        add     packed, unit, #64
        add     lines, unit, #576
        mov     blocks, #8
        clear_sums
        st1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sp]
        st1     {v20.4s, v21.4s, v22.4s, v23.4s}, [unit_sums_1]
        .p2align 4
2:
        ld1     {v13.16b, v14.16b}, [values]
        sum_activations
        half_block 0, , 8b, to_first, sp
        half_block 32, 2, 16b, to_next_block, unit_sums_1
        add     packed, packed, #64
        add     lines, lines, #768
        subs    blocks, blocks, #1
        b.ne    2b
        ld1     {v16.4s, v17.4s, v18.4s, v19.4s}, [sp]
        finish_pass unit, 0
        mov     unit, lines
        subs    units, units, #1
        b.ne    1b
        add     sp, sp, #128
        restore_registers
        ret
        .size   midge_gemv_q6b16s256_1x32_neon_add, . - midge_gemv_q6b16s256_1x32_neon_add
#endif
        .section .note.GNU-stack, "", %progbits
