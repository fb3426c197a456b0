// One args struct and one function type per operation.
//
// A kernel is a plain function of a pointer to its args. It computes exactly the rectangle it is
// given, takes no memory, starts no thread, keeps no state and sets no floating-point mode. Strides
// are in bytes. Inputs are unaliased with outputs unless stated. No kernel reads or writes outside
// of the ranges given here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/packed.h"

namespace midge {

/// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend[m, n]), in float arithmetic.
/// lhs: f32 rows. rhs: rows in the encoding of the kernel's name.
struct GemmArgs {
  int64_t m;
  int64_t n;
  int64_t k;  // the last block of a row may be partly used
  const float* lhs;
  int64_t lhs_stride;
  const void* rhs;  // aligned to 2 bytes
  int64_t rhs_stride;
  const float* addend;    // null, or f32 added to the finished sums: a bias (stride 0) or a
  int64_t addend_stride;  // residual, which may be out
  float* out;
  int64_t out_stride;
};
using GemmFunction = void (*)(const GemmArgs*);

/// out[k] = the weights of one row, as f32.
struct DequantizeArgs {
  int64_t k;        // the last block may be partly used
  const void* row;  // aligned to 2 bytes
  float* out;
};
using DequantizeFunction = void (*)(const DequantizeArgs*);

// The decode arithmetic of packed weights: activations as int8 with a scale per 32, exact int32
// sums per block, one f32 multiply-add per block in order of k. Bit for bit the same in every
// kernel of an encoding, for any number of rows.

/// out[k] = in[k] as LhsBlocks: scale = max |in| / 127 over each 32 columns, value = in * (127 /
/// max) rounded to nearest even. A block of numbers below kQuantizeMin is zero; a block with an
/// infinity or a NaN has scale NaN and values 0, which turns the sums that see it into NaN.
struct QuantizeArgs {
  int64_t k;
  const float* in;
  LhsBlock* out;  // [lhs_blocks(k)]
};
using QuantizeFunction = void (*)(const QuantizeArgs*);

/// Below this (2^-100), 127 / max would overflow.
inline constexpr float kQuantizeMin = 0x1p-100f;

/// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ addend[m, n]), decode arithmetic.
/// For f16 weights lhs is f32 [m, k] and each sum takes its products in order of k, one fused
/// multiply-add each.
struct GemvArgs {
  int64_t m;  // 1..rows_max of the kernel
  int64_t n;  // the last tile may be partly used
  int64_t k;
  const void* lhs;  // [m] rows of LhsBlock [lhs_blocks(k)], or of f32 [k]
  int64_t lhs_stride;
  const void* rhs;        // tiles of packed units, packed_tile_bytes apart; aligned to 64
  const float* addend;    // null, or f32 added to the finished sums: a bias (stride 0) or a
  int64_t addend_stride;  // residual, which may be out
  float* out;
  int64_t out_stride;
};
using GemvFunction = void (*)(const GemvArgs*);

/// out[k] = the weights of one row of a packed tile, as f32.
struct LookupArgs {
  int64_t k;
  const void* tile;
  int64_t row;  // 0..31
  float* out;
};
using LookupFunction = void (*)(const LookupArgs*);

// The prefill arithmetic: weights and activations as int8 with a scale per 256 (kPanelColumns).
// Bit for bit the same in every kernel of an encoding, for any number of rows.

/// An activation of a super-block that int8 cannot hold beside its neighbours.
struct Outlier {
  int32_t column;  ///< in the super-block
  float value;
};

/// Those of a super-block at most.
inline constexpr int kOutliersMax = 8;

/// Moves the outliers of x[k] to items by column and leaves zeros in their place: those beyond 8
/// times the mean magnitude, the kOutliersMax largest. None of a super-block that holds an infinity
/// or a NaN. The mean is that of sums in sixteen lanes, joined one after the other.
struct TakeOutliersArgs {
  int64_t k;  // 1..256
  float* x;
  uint8_t* count;  // of outliers
  Outlier* items;  // [kOutliersMax]
};
using TakeOutliersFunction = void (*)(const TakeOutliersArgs*);

/// Activations of all rows for gemm_panel. Super-block s holds columns 256s..256s+255 (zeros beyond
/// k). rows: m rounded up to the level's PanelShape::tokens.
/// values: [super-blocks][rows / tokens][256 / group][tokens][group] int8, with the tokens and
/// group of the level's PanelShape. scales, sums: [super-blocks][rows]; sums are those of the
/// values.
struct PanelLhs {
  int8_t* values;
  float* scales;
  int32_t* sums;
  int64_t rows;
};

/// Rows first..first + m - 1 of a PanelLhs from f32, each 256 columns quantised like a block of
/// QuantizeArgs. Rows from first + m up to the next multiple of PanelShape::tokens become zeros.
struct QuantizePanelArgs {
  int64_t first;  // a multiple of PanelShape::tokens
  int64_t m;
  int64_t k;
  const float* in;  // row `first`
  int64_t in_stride;
  PanelLhs out;
};
using QuantizePanelFunction = void (*)(const QuantizePanelArgs*);

/// 32 rows x 256 columns of packed weights as an int8 panel: value * scales[row].
/// kernels/generic/panel/panel.h defines the rounding. Columns beyond k are zeros.
struct UnpackArgs {
  int64_t k;        // columns that exist, 1..256
  const void* rhs;  // the packed units of these columns
  int8_t* panel;    // [kPanelBytes], aligned to 64, in the kernel's PanelOrder
  float* scales;    // [32]
};
using UnpackFunction = void (*)(const UnpackArgs*);

/// acc[m, 32] += lhs_scales[m] * panel_scales[32] * (lhs[m, 256] * panel[32, 256]^T), one f32
/// multiply-add per super-block and element; acc starts at 0 if `first`.
struct GemmPanelArgs {
  int64_t m;  // a multiple of PanelShape::step
  bool first;
  const int8_t* lhs;          // one super-block of a PanelLhs, from a multiple of tokens on
  const float* lhs_scales;    // [m]
  const int32_t* lhs_sums;    // [m]
  const int8_t* panel;        // [kPanelBytes], aligned to 64
  const float* panel_scales;  // [32]
  float* acc;                 // [m, 32], aligned to 64
};
using GemmPanelFunction = void (*)(const GemmPanelArgs*);

/// acc[m, 32] += value * weights[32, column] for the outliers of each row of a super-block, in
/// order of columns; product and sum are rounded apart.
struct AddOutliersArgs {
  int64_t m;
  const void* rhs;        // the packed units of the super-block's columns
  const uint8_t* counts;  // [m], of outliers
  const Outlier* items;   // [m, kOutliersMax], by column
  float* columns;         // [256, 32] to work in: the columns that are needed
  float* acc;             // [m, 32]
};
using AddOutliersFunction = void (*)(const AddOutliersArgs*);

/// out[m, n] = in[m, n] / sqrt(mean(in^2 over n) + epsilon) * weight[n]. out may be in.
struct RmsnormArgs {
  int64_t m;
  int64_t n;
  const float* in;
  int64_t in_stride;
  const float* weight;
  float epsilon;
  float* out;
  int64_t out_stride;
};
using RmsnormFunction = void (*)(const RmsnormArgs*);

/// Rotates `heads` vectors of one token in place. Pair j = 0 .. width / 2 - 1 of a vector is
/// a = x[j * step], b = x[j * step + partner], and becomes
/// a * cos[j] - b * sin[j], b * cos[j] + a * sin[j].
/// In halves ("rotate half"): step 1, partner width / 2. Interleaved: step 2, partner 1.
/// Elements from `width` on stay as they are.
struct RopeArgs {
  int64_t heads;
  int64_t head_stride;
  int64_t width;  // even
  int64_t step;
  int64_t partner;
  const float* cos;  // [width / 2]
  const float* sin;  // [width / 2]
  float* x;
};
using RopeFunction = void (*)(const RopeArgs*);

// Attention. The cache of a sequence is a table of pages of equal size. A page holds, of each KV
// head, keys in blocks of kKeyBlock tokens, as [head_dim][token], so that a vector holds the same
// element of consecutive keys; values as [token][head_dim]. Token t is at position t: pages, steps
// and blocks lie at multiples of their size.

inline constexpr int64_t kKeyBlock = 16;

/// Keys whose scores are taken together, by one update of the running maximum.
inline constexpr int64_t kAttnStep = 64;

/// Queries of a call at most: enough for the keys and values of a step, once read, to be used
/// often.
inline constexpr int64_t kAttnQueries = 32;

/// Of a quantised cache: a row of int8 has one scale. Keys lie in blocks of 16, and in a block as
/// [head_dim / kKeyGroup, rounded up][kKeyBlock][kKeyGroup], with zeros behind the last dimension:
/// a dot instruction multiplies four neighbours. Int8 values lie by pairs of tokens, as
/// [head_dim][2]: two products are added by one instruction. Values of 4 bits are rows: of each
/// kValueBlock values, which have a scale of their own, the first half in the low bits of 16 bytes,
/// plus 8.
inline constexpr int64_t kKeyGroup = 4;
inline constexpr int64_t kValueBlock = 32;

/// A query of a quantised cache; its int8 values follow, [head_dim rounded up to kKeyGroup].
struct QuantizedQuery {
  float scale;
  int32_t sum;  // of the values
};
static inline const int8_t* query_values(const QuantizedQuery* query) {
  return reinterpret_cast<const int8_t*>(query + 1);
}

/// One query and the keys that it sees.
struct AttnQuery {
  const float* q;  // [head_dim]; of a quantised cache a QuantizedQuery
  int64_t begin;   // of the keys seen
  int64_t end;     // none if not beyond begin
  float* out;      // [head_dim]
};

/// Softmax of each query over the keys it sees, in the parts that make the whole of several calls:
/// with s[t] = scale * q . k[t], maximum = max s[t] (-infinity without keys),
/// total = sum of exp(s[t] - maximum), out[head_dim] = sum of exp(s[t] - maximum) * v[t].
/// All of them are NaN where a score is NaN. Bit for bit the same in every kernel of a type, for
/// any queries beside it: kernels/generic/attention/attn_f32_f32.h defines the rounding.
/// Keys and values of tokens that a query does not see do not matter to it; whole blocks of keys
/// are read, and the values of tokens from the first begin to the last end. Pages without such
/// tokens are not read; what follows the last end may be prefetched.
struct AttnArgs {
  int64_t count;  // queries, 1..kAttnQueries
  int64_t head_dim;
  const AttnQuery* queries;
  const uint8_t* const* pages;  // [page_count]; page p begins with token p * page_tokens
  int64_t page_count;
  int64_t page_tokens;  // a multiple of kAttnStep
  int64_t k_offset;     // in a page, of its first block: [head_dim][kKeyBlock], aligned to 32
  int64_t k_stride;     // from block to block, a multiple of 32
  int64_t v_offset;     // in a page, of its first token: [head_dim]
  int64_t v_stride;     // from token to token; twice as much from pair to pair
  // Of a quantised cache: f32 scales of the tokens, in a page from its first token's on. Those of
  // int8 rows are not negative, but may be NaN.
  int64_t k_scales_offset = 0;
  int64_t v_scales_offset = 0;  // of the first block of values ...
  int64_t v_scales_stride = 0;  // ... from block to block, where they have several
  float scale;
  float* maximums;  // [count]
  float* totals;    // [count]
};
using AttnFunction = void (*)(const AttnArgs*);
/// The same with a quantised cache, values of 8 and of 4 bits. Scores are sums of integers.
using AttnQ8Args = AttnArgs;
using AttnQ8Function = AttnFunction;
using AttnK8V4Args = AttnArgs;
using AttnK8V4Function = AttnFunction;

/// out[i] = silu(gate[i]) * up[i], silu(z) = z / (1 + exp(-z)). out may be gate or up.
struct SiluMulArgs {
  int64_t n;
  const float* gate;
  const float* up;
  float* out;
};
using SiluMulFunction = void (*)(const SiluMulArgs*);

/// sums[b] = the sum of exp(x[i] - maximum) over block b of kExpSumBlock numbers; the last block
/// may be shorter. No x is above the maximum. Lane j of a block adds its numbers j, j + 8, j + 16
/// ... in this order; then the lanes 4 apart are added, those 2 apart, the last two.
inline constexpr int64_t kExpSumBlock = 64;
struct ExpSumArgs {
  int64_t n;
  const float* x;
  float maximum;
  double* sums;  // [ceil(n / kExpSumBlock)]
};
using ExpSumFunction = void (*)(const ExpSumArgs*);

/// out[i] = a[i] + b[i]. out may be a or b.
struct AddArgs {
  int64_t n;
  const float* a;
  const float* b;
  float* out;
};
using AddFunction = void (*)(const AddArgs*);

/// out[i] = in[i] in the type of the kernel's name, rounded to nearest even.
struct ConvertArgs {
  int64_t n;
  const float* in;
  void* out;
};
using ConvertFunction = void (*)(const ConvertArgs*);

}  // namespace midge
