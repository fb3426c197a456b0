// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T), by sdot.
//
// void midge_gemm_panel_12x32_neon_dot(const GemmPanelArgs* args), m a multiple of 4
//
// lhs    [m / 12, rounded up][64 groups][12 tokens][4 columns]: PanelShape {12, 4}
// panel  [4 octets of rows][32 pairs of groups][2 quads of rows][2 groups][4 rows][4 columns]
//
// A unit of work is 12 tokens x 8 rows: 24 sums of 4 rows each. Per 16 columns 5 loads of 64 bytes
// feed 96 sdot (1536 multiply-adds); per unit the 24 sums take one scvtf, fmul and fmla each. Bound
// by the SIMD pipes. 24 sums and 8 operands fill the register file, which is why this is assembly:
// compilers spill here.
//
// The 4 or 8 tokens that may be left over go through the panel 4 at a time: 8 sums, and per 16
// columns 6 loads for 32 sdot.
//
// Registers
//   v0-v3    panel, 2 groups x 8 rows         at the end: scales and products of scales
//   v4-v7    lhs, a third of 4 groups; of 4 tokens a group each
//                                             at the end: scales of rows, float sums
//   v8-v31   sums (v8-v15 of 4 tokens): token t, rows 0-3 in v(8 + 2t), rows 4-7 in v(9 + 2t)
//   x0       args, then the octets left
//
// Rounding: int32 sums are exact; per element one product of scales and one fused multiply-add.

#define tokens_left x1
#define lhs_tile    x2
#define lhs_scales  x3
#define panel_begin x4
#define scales_begin x5
#define acc_tile    x6
#define lhs         x7
#define panel       x8
#define columns_left w9
#define octets_left x0
#define panel_scales x10
#define acc         x11

// acc reaches the 12 tokens, 128 bytes apart, by offsets of -512..896 + 16.
#define ACC_BIAS    512

  .arch armv8.2-a+dotprod
  .text

// 4 tokens (the lanes of \l) x 8 rows (\p0: 0-3, \p1: 4-7) x 4 columns.
.macro multiply l, p0, p1, a0, b0, a1, b1, a2, b2, a3, b3
  sdot \a0\().4s, \p0\().16b, \l\().4b[0]
  sdot \b0\().4s, \p1\().16b, \l\().4b[0]
  sdot \a1\().4s, \p0\().16b, \l\().4b[1]
  sdot \b1\().4s, \p1\().16b, \l\().4b[1]
  sdot \a2\().4s, \p0\().16b, \l\().4b[2]
  sdot \b2\().4s, \p1\().16b, \l\().4b[2]
  sdot \a3\().4s, \p0\().16b, \l\().4b[3]
  sdot \b3\().4s, \p1\().16b, \l\().4b[3]
.endm

.macro multiply_tokens_0 l, p0, p1
  multiply \l, \p0, \p1, v8, v9, v10, v11, v12, v13, v14, v15
.endm

.macro multiply_tokens_4 l, p0, p1
  multiply \l, \p0, \p1, v16, v17, v18, v19, v20, v21, v22, v23
.endm

.macro multiply_tokens_8 l, p0, p1
  multiply \l, \p0, \p1, v24, v25, v26, v27, v28, v29, v30, v31
.endm

.macro load_panel
  ld1 {v0.16b-v3.16b}, [panel], #64
.endm

.macro load_lhs
  ld1 {v4.16b-v7.16b}, [lhs], #64
.endm

// 16 columns: the 12 registers of lhs pass through v4-v7 in three loads.
.macro multiply_16_columns
  load_panel
  load_lhs
  multiply_tokens_0 v4, v0, v2
  multiply_tokens_4 v5, v0, v2
  multiply_tokens_8 v6, v0, v2
  multiply_tokens_0 v7, v1, v3
  load_lhs
  multiply_tokens_4 v4, v1, v3
  multiply_tokens_8 v5, v1, v3
  load_panel
  multiply_tokens_0 v6, v0, v2
  multiply_tokens_4 v7, v0, v2
  load_lhs
  multiply_tokens_8 v4, v0, v2
  multiply_tokens_0 v5, v1, v3
  multiply_tokens_4 v6, v1, v3
  multiply_tokens_8 v7, v1, v3
.endm

// 16 columns of 4 tokens: 16 bytes of the 48 of each group.
.macro multiply_16_columns_of_4
  load_panel
  ldr q4, [lhs]
  ldr q5, [lhs, #48]
  ldr q6, [lhs, #96]
  ldr q7, [lhs, #144]
  add lhs, lhs, #192
  multiply_tokens_0 v4, v0, v2
  multiply_tokens_0 v5, v1, v3
  load_panel
  multiply_tokens_0 v6, v0, v2
  multiply_tokens_0 v7, v1, v3
.endm

// Adds the sums \a, \b of a token, whose scale is lane \lane of v0, to its row of acc.
.macro finish_token token, lane, a, b
  ldp q6, q7, [acc, #(128 * \token - ACC_BIAS)]
  fmul v1.4s, v4.4s, v0.s[\lane]
  fmul v2.4s, v5.4s, v0.s[\lane]
  scvtf \a\().4s, \a\().4s
  scvtf \b\().4s, \b\().4s
  fmla v6.4s, \a\().4s, v1.4s
  fmla v7.4s, \b\().4s, v2.4s
  stp q6, q7, [acc, #(128 * \token - ACC_BIAS)]
.endm

  .p2align 5
  .global midge_gemm_panel_12x32_neon_dot
  .hidden midge_gemm_panel_12x32_neon_dot
  .type midge_gemm_panel_12x32_neon_dot, %function
midge_gemm_panel_12x32_neon_dot:
  hint #34  // bti c
  stp d8, d9, [sp, #-64]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  ldr tokens_left, [x0]
  ldp lhs_tile, lhs_scales, [x0, #16]
  ldp panel_begin, scales_begin, [x0, #40]
  ldr acc_tile, [x0, #56]
  add acc_tile, acc_tile, #ACC_BIAS

.Ltokens:
  subs tokens_left, tokens_left, #12
  b.lt .Lrest
  mov panel, panel_begin
  mov panel_scales, scales_begin
  mov acc, acc_tile
  mov octets_left, #4

.Lrows:
  mov lhs, lhs_tile
  mov columns_left, #256
  .irp sum, 8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  movi v\sum\().4s, #0
  .endr

.Lcolumns:
  multiply_16_columns
  multiply_16_columns
  subs columns_left, columns_left, #32
  b.ne .Lcolumns

  ldp q4, q5, [panel_scales], #32
  ldr q0, [lhs_scales]
  finish_token 0, 0, v8, v9
  finish_token 1, 1, v10, v11
  finish_token 2, 2, v12, v13
  finish_token 3, 3, v14, v15
  ldr q0, [lhs_scales, #16]
  finish_token 4, 0, v16, v17
  finish_token 5, 1, v18, v19
  finish_token 6, 2, v20, v21
  finish_token 7, 3, v22, v23
  ldr q0, [lhs_scales, #32]
  finish_token 8, 0, v24, v25
  finish_token 9, 1, v26, v27
  finish_token 10, 2, v28, v29
  finish_token 11, 3, v30, v31
  add acc, acc, #32
  subs octets_left, octets_left, #1
  b.ne .Lrows

  mov lhs_tile, lhs
  add lhs_scales, lhs_scales, #48
  add acc_tile, acc_tile, #(12 * 128)
  b .Ltokens

// Those of the last group, 4 at a time.
.Lrest:
  adds tokens_left, tokens_left, #12
  b.eq .Lreturn

.Ltokens_of_4:
  mov panel, panel_begin
  mov panel_scales, scales_begin
  mov acc, acc_tile
  mov octets_left, #4

.Lrows_of_4:
  mov lhs, lhs_tile
  mov columns_left, #256
  .irp sum, 8,9,10,11,12,13,14,15
  movi v\sum\().4s, #0
  .endr

.Lcolumns_of_4:
  multiply_16_columns_of_4
  multiply_16_columns_of_4
  subs columns_left, columns_left, #32
  b.ne .Lcolumns_of_4

  ldp q4, q5, [panel_scales], #32
  ldr q0, [lhs_scales]
  finish_token 0, 0, v8, v9
  finish_token 1, 1, v10, v11
  finish_token 2, 2, v12, v13
  finish_token 3, 3, v14, v15
  add acc, acc, #32
  subs octets_left, octets_left, #1
  b.ne .Lrows_of_4

  add lhs_tile, lhs_tile, #16
  add lhs_scales, lhs_scales, #16
  add acc_tile, acc_tile, #(4 * 128)
  subs tokens_left, tokens_left, #4
  b.ne .Ltokens_of_4

.Lreturn:
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  ldp d8, d9, [sp], #64
  ret
  .size midge_gemm_panel_12x32_neon_dot, . - midge_gemm_panel_12x32_neon_dot

  .section .note.GNU-stack, "", %progbits
