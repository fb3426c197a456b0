// Operations on rows of activations: shapes, tiling, threads and the use of the chosen kernels.
//
// Activations are f32, row-major and dense: [rows, columns]. Nothing here allocates. A result
// depends on its own row only, never on how many rows or threads there are (with the exception of
// linear() through XNNPACK, see dense_backend.h).
#pragma once

#include <cstdint>
#include <span>

#include "engine/platform/worker_team.h"
#include "kernels/kernels.h"

namespace midge {

class DenseBackend;

/// The weights of a linear layer or an embedding table: n rows of k, in place in their file.
struct WeightMatrix {
  Encoding encoding = Encoding::kF32;
  int64_t n = 0;  ///< rows: output features, or tokens
  int64_t k = 0;  ///< columns: input features
  const void* data = nullptr;
  int64_t row_stride = 0;  ///< bytes

  /// Rows first..first+count-1 of the same matrix.
  WeightMatrix rows(int64_t first, int64_t count) const;
  int64_t bytes() const { return n * encoded_row_bytes(encoding, k); }
};

/// What every operation needs. Copied freely; points to what the engine owns.
struct OpContext {
  const KernelTable* kernels = nullptr;
  const WorkerTeam* team = nullptr;
  DenseBackend* dense = nullptr;  ///< XNNPACK for the matrices it holds; null without
};

/// Keys and values of all layers of one sequence, in place in its cache.
/// Element (layer, head, token, d) of K is at k + layer * layer_stride + head * head_stride +
/// token * token_stride + d * size; V likewise.
struct KvView {
  Encoding type = Encoding::kF16;  ///< kF16 or kF32
  uint8_t* k = nullptr;
  uint8_t* v = nullptr;
  int64_t layer_stride = 0;  ///< bytes
  int64_t head_stride = 0;
  int64_t token_stride = 0;
};

/// A run of rows of a batch that are consecutive tokens of one sequence.
struct Segment {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t position = 0;  ///< of the first row
  KvView kv;
};

/// Head counts of an attention layer.
struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;  ///< divides heads
  int64_t head_dim = 0;
  int64_t window = 0;  ///< keys visible to a query, itself included; 0: all
};

/// out[m, w.n] = x[m, w.k] * w^T (+ bias[w.n] unless null).
void linear(const OpContext& context, const WeightMatrix& w, const float* bias, const float* x,
            int64_t m, float* out);

/// out[tokens, table.k] = rows of `table`. Ids are in range.
void embed(const OpContext& context, const WeightMatrix& table, std::span<const int32_t> tokens,
           float* out);

/// out[m, n] = rmsnorm(x[m, n]) * weight[n].
void rmsnorm(const OpContext& context, const float* x, const float* weight, float epsilon,
             int64_t m, int64_t n, float* out);

/// Which elements of a head rotate together, see RopeArgs, and by which angles.
struct RopeRows {
  int64_t width = 0;           ///< rotated elements of each head
  bool interleaved = false;    ///< pairs (2j, 2j + 1) instead of (j, j + width / 2)
  const float* cos = nullptr;  // [m, width / 2]
  const float* sin = nullptr;  // [m, width / 2]
};

/// Rotates q[m, heads * head_dim] and k[m, kv_heads * head_dim] in place, and stores k and
/// v[m, kv_heads * head_dim] in the caches of the segments as layer `layer`.
void rope_and_store(const OpContext& context, const AttentionShape& shape,
                    std::span<const Segment> segments, int64_t layer, const RopeRows& rope,
                    float* q, float* k, const float* v);

/// out[m, heads * head_dim] = causal attention of q[m, heads * head_dim] over the cached tokens of
/// each row's segment, layer `layer`. scores: scratch of thread_count * scores_stride f32, where
/// scores_stride is at least the longest position + 1.
void attention(const OpContext& context, const AttentionShape& shape,
               std::span<const Segment> segments, int64_t layer, const float* q, float* scores,
               int64_t scores_stride, float* out);

/// out[i] = silu(gate[i]) * up[i], i = 0..count-1. out may be gate.
void silu_mul(const OpContext& context, const float* gate, const float* up, int64_t count,
              float* out);

/// x[i] += y[i], i = 0..count-1.
void add_to(const OpContext& context, float* x, const float* y, int64_t count);

}  // namespace midge
