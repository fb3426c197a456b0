// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T), by smmla.
//
// void midge_gemm_panel_8x32_neon_i8mm(const GemmPanelArgs* args), m a multiple of 8
//
// lhs    [m / 8][32 groups][8 tokens][8 columns]: PanelShape {8, 8}
// panel  [4 octets of rows][32 groups][8 rows][8 columns]
//
// A unit of work is 8 tokens x 8 rows: 16 sums of 2 tokens x 2 rows. Per 8 columns 2 loads of 64
// bytes feed 16 smmla (512 multiply-adds). Bound by the SIMD pipes. The columns are unrolled, and
// operands are loaded 8 columns ahead: in-order cores need it, and it leaves no loop to peel. 12
// tokens would save 2 % of the instructions and leave no registers to load ahead.
//
// Registers
//   v0-v3    lhs, token pairs 0-3             v8-v11   the same, odd groups
//   v4-v7    panel, row pairs 0-3             v12-v15  the same, odd groups
//   v16-v31  sums: token pair i, row pair j in v(16 + 4i + j) as [2 tokens][2 rows]
//   At the end: v0-v3 sums by token, v4-v7 acc, v8-v11 products of scales, v12-v13 scales of
//   tokens, v14-v15 scales of rows.
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
#define octets_left x0
#define panel_scales x10
#define acc         x11

  .arch armv8.2-a+i8mm
  .text

.macro load_even
  ld1 {v0.16b-v3.16b}, [lhs], #64
  ld1 {v4.16b-v7.16b}, [panel], #64
.endm

.macro load_odd
  ld1 {v8.16b-v11.16b}, [lhs], #64
  ld1 {v12.16b-v15.16b}, [panel], #64
.endm

// A token pair x 8 rows x 8 columns.
.macro multiply_pair l, p0, p1, p2, p3, s0, s1, s2, s3
  smmla \s0\().4s, \l\().16b, \p0\().16b
  smmla \s1\().4s, \l\().16b, \p1\().16b
  smmla \s2\().4s, \l\().16b, \p2\().16b
  smmla \s3\().4s, \l\().16b, \p3\().16b
.endm

.macro multiply l0, l1, l2, l3, p0, p1, p2, p3
  multiply_pair \l0, \p0, \p1, \p2, \p3, v16, v17, v18, v19
  multiply_pair \l1, \p0, \p1, \p2, \p3, v20, v21, v22, v23
  multiply_pair \l2, \p0, \p1, \p2, \p3, v24, v25, v26, v27
  multiply_pair \l3, \p0, \p1, \p2, \p3, v28, v29, v30, v31
.endm

.macro multiply_even
  multiply v0, v1, v2, v3, v4, v5, v6, v7
.endm

.macro multiply_odd
  multiply v8, v9, v10, v11, v12, v13, v14, v15
.endm

// Adds the sums of a token pair, whose scales are lanes \lane and \lane + 1 of \scales, to its
// rows of acc.
.macro finish_pair pair, scales, lane, s0, s1, s2, s3
  ldp q4, q5, [acc, #(256 * \pair)]
  ldp q6, q7, [acc, #(256 * \pair + 128)]
  zip1 v0.2d, \s0\().2d, \s1\().2d
  zip1 v1.2d, \s2\().2d, \s3\().2d
  zip2 v2.2d, \s0\().2d, \s1\().2d
  zip2 v3.2d, \s2\().2d, \s3\().2d
  fmul v8.4s, v14.4s, \scales\().s[\lane]
  fmul v9.4s, v15.4s, \scales\().s[\lane]
  fmul v10.4s, v14.4s, \scales\().s[\lane + 1]
  fmul v11.4s, v15.4s, \scales\().s[\lane + 1]
  scvtf v0.4s, v0.4s
  scvtf v1.4s, v1.4s
  scvtf v2.4s, v2.4s
  scvtf v3.4s, v3.4s
  fmla v4.4s, v0.4s, v8.4s
  fmla v5.4s, v1.4s, v9.4s
  fmla v6.4s, v2.4s, v10.4s
  fmla v7.4s, v3.4s, v11.4s
  stp q4, q5, [acc, #(256 * \pair)]
  stp q6, q7, [acc, #(256 * \pair + 128)]
.endm

  .p2align 5
  .global midge_gemm_panel_8x32_neon_i8mm
  .hidden midge_gemm_panel_8x32_neon_i8mm
  .type midge_gemm_panel_8x32_neon_i8mm, %function
midge_gemm_panel_8x32_neon_i8mm:
  hint #34  // bti c
  stp d8, d9, [sp, #-64]!
  stp d10, d11, [sp, #16]
  stp d12, d13, [sp, #32]
  stp d14, d15, [sp, #48]
  ldr tokens_left, [x0]
  ldp lhs_tile, lhs_scales, [x0, #16]
  ldp panel_begin, scales_begin, [x0, #40]
  ldr acc_tile, [x0, #56]
  cbz tokens_left, .Lreturn

.Ltokens:
  mov panel, panel_begin
  mov panel_scales, scales_begin
  mov acc, acc_tile
  mov octets_left, #4

.Lrows:
  mov lhs, lhs_tile
  load_even
  .irp sum, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  movi v\sum\().4s, #0
  .endr
  .rept 15
  load_odd
  multiply_even
  load_even
  multiply_odd
  .endr
  load_odd
  multiply_even
  multiply_odd

  ldp q12, q13, [lhs_scales]
  ldp q14, q15, [panel_scales], #32
  finish_pair 0, v12, 0, v16, v17, v18, v19
  finish_pair 1, v12, 2, v20, v21, v22, v23
  finish_pair 2, v13, 0, v24, v25, v26, v27
  finish_pair 3, v13, 2, v28, v29, v30, v31
  add acc, acc, #32
  subs octets_left, octets_left, #1
  b.ne .Lrows

  mov lhs_tile, lhs
  add lhs_scales, lhs_scales, #32
  add acc_tile, acc_tile, #(8 * 128)
  subs tokens_left, tokens_left, #8
  b.ne .Ltokens

.Lreturn:
  ldp d10, d11, [sp, #16]
  ldp d12, d13, [sp, #32]
  ldp d14, d15, [sp, #48]
  ldp d8, d9, [sp], #64
  ret
  .size midge_gemm_panel_8x32_neon_i8mm, . - midge_gemm_panel_8x32_neon_i8mm

  .section .note.GNU-stack, "", %progbits
