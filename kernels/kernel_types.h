// One args struct and one function type per operation.
//
// A kernel is a plain function of a pointer to its args. It computes exactly the rectangle it is
// given, takes no memory, starts no thread, keeps no state and sets no floating-point mode. Strides
// are in bytes. Inputs are unaliased with outputs unless stated. No kernel reads or writes outside
// of the ranges given here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace midge {

/// out[m, n] = lhs[m, k] * rhs[n, k]^T (+ bias[n]).
/// lhs: f32 rows. rhs: rows in the encoding of the kernel's name. bias: f32 or null.
struct GemmArgs {
  int64_t m;
  int64_t n;
  int64_t k;  // a multiple of the encoding's block
  const float* lhs;
  int64_t lhs_stride;
  const void* rhs;  // aligned to 2 bytes
  int64_t rhs_stride;
  const float* bias;
  float* out;
  int64_t out_stride;
};
using GemmFunction = void (*)(const GemmArgs*);

/// out[k] = the weights of one row, as f32.
struct DequantizeArgs {
  int64_t k;        // a multiple of the encoding's block
  const void* row;  // aligned to 2 bytes
  float* out;
};
using DequantizeFunction = void (*)(const DequantizeArgs*);

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

/// out[head_dim] = softmax(scale * q . K^T) * V over `length` cached tokens, for one query head.
/// q and out: f32 [head_dim]. K and V: `length` rows of head_dim in the type of the kernel's name.
struct AttnArgs {
  int64_t length;  // at least 1
  int64_t head_dim;
  const float* q;
  const void* k;
  int64_t k_stride;
  const void* v;
  int64_t v_stride;
  float scale;
  float* scores;  // scratch [length]
  float* out;
};
using AttnFunction = void (*)(const AttnArgs*);

/// out[i] = silu(gate[i]) * up[i], silu(z) = z / (1 + exp(-z)). out may be gate or up.
struct SiluMulArgs {
  int64_t n;
  const float* gate;
  const float* up;
  float* out;
};
using SiluMulFunction = void (*)(const SiluMulArgs*);

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
