// Operations on rows of activations: shapes, tiling, threads and the use of the chosen kernels.
//
// Activations are f32, row-major and dense: [rows, columns]. Nothing here allocates. Every
// operation is called by all workers of a team with the same arguments, and has finished when it
// returns. A result depends on its own row only, never on how many rows or threads there are (with
// the exception of linear() through XNNPACK, see dense_backend.h).
#pragma once

#include <cstdint>
#include <span>

#include "engine/core/aligned_buffer.h"
#include "engine/core/arena.h"
#include "engine/ops/kv_pages.h"
#include "engine/ops/outliers.h"
#include "engine/ops/profile.h"
#include "engine/ops/segments.h"
#include "engine/platform/worker_team.h"
#include "engine/weights/matrix.h"
#include "kernels/kernels.h"

namespace midge {

struct LinearJob;

/// Sees the rows that matrices are multiplied with, for statistics of activations.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// x[rows, k] is the input of the matrices of `jobs`, none of which is packed. Called by worker 0
  /// while others compute.
  virtual void observe(std::span<const LinearJob> jobs, const float* x, int64_t rows,
                       int64_t k) = 0;
};

/// What every operation needs. Copied freely; points to what the engine owns.
struct OpContext {
  const KernelTable* kernels = nullptr;
  const Worker* worker = nullptr;
  EventLog* log = nullptr;            ///< of this worker; null: none
  InputObserver* observer = nullptr;  ///< of worker 0; null: none
};

/// Rows of the segments for an event; counted if there is a log.
inline int64_t logged_rows(const OpContext& context, std::span<const Segment> segments) {
  return context.log == nullptr ? 0 : count_rows(segments).all();
}

/// Head counts of an attention layer.
struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;  ///< divides heads
  int64_t head_dim = 0;
  int64_t window = 0;  ///< keys visible to a query, itself included; 0: all
};

/// Memory for quantised activations and int8 panels.
class LinearScratch {
 public:
  /// For up to rows_max rows of columns_max columns on thread_count workers, whose tables `kernels`
  /// has; it outlives the scratch. Errors: out_of_memory.
  static Result<LinearScratch> create(const KernelTables& kernels, int64_t rows_max,
                                      int64_t columns_max, int thread_count);
  /// What create() takes.
  static int64_t bytes_for(const KernelTables& kernels, int64_t rows_max, int64_t columns_max,
                           int thread_count);
  int64_t bytes() const { return buffer_.bytes(); }
  const AlignedBuffer& buffer() const { return buffer_; }

 private:
  friend class LinearPass;

  ArenaPlan lay_out(const KernelTables& kernels, int64_t rows_max, int64_t columns_max,
                    int thread_count);
  int64_t worker_bytes() const;
  int64_t strip_bytes() const;

  AlignedBuffer buffer_;
  const KernelTables* kernels_ = nullptr;
  int64_t rows_ = 0;        // that the accumulators of a worker hold
  uint8_t* lhs_ = nullptr;  // LhsBlocks of generated rows, then the values of a PanelLhs per order
  float* lhs_scales_[kLhsOrderCount] = {};
  int32_t* lhs_sums_[kLhsOrderCount] = {};
  Outliers outliers_ = {};  // [super-blocks][prompt rows]
  int64_t strip_rows_ = 0;  // that a worker quantises at a time
  int64_t columns_max_ = 0;
  uint8_t* per_worker_ = nullptr;  // panels and accumulators
};

/// Memory for what attention() computes of the queries before it is joined.
class AttentionScratch {
 public:
  /// For sequences of up to length_max tokens. Errors: out_of_memory.
  static Result<AttentionScratch> create(const AttentionShape& shape, int64_t length_max,
                                         int thread_count);
  /// What create() takes.
  static int64_t bytes_for(const AttentionShape& shape, int64_t length_max, int thread_count);
  int64_t bytes() const { return buffer_.bytes(); }
  const AlignedBuffer& buffer() const { return buffer_; }

 private:
  friend class AttentionRun;

  ArenaPlan lay_out(const AttentionShape& shape, int64_t length_max, int thread_count);

  AlignedBuffer buffer_;
  float* per_worker_ = nullptr;  // [threads][kAttnQueries] parts
  float* shared_ = nullptr;      // [shared_queries][splits] parts
  int64_t shared_queries_ = 0;
};

/// One product of linear(): out[m, n] = x * w[n, k]^T (+ addend).
struct LinearJob {
  const PreparedMatrix* w;
  float* out;
  const float* addend = nullptr;  ///< added to the finished sums; may be out
  int64_t addend_stride = 0;      ///< floats; 0: a bias, the same for every row
};

/// The rows [m, k] that linear() multiplies: x; or rmsnorm(x) * norm[k]; or silu(x) * up. The last
/// two are computed where they are quantised, without a pass of their own.
struct LinearInput {
  const float* x;
  const float* norm = nullptr;
  float epsilon = 0;
  const float* up = nullptr;
  float* rows = nullptr;  ///< [m, k] for the computed rows, written if a matrix wants floats

  /// The input from a row on, of k columns.
  LinearInput from(int64_t row, int64_t k) const {
    LinearInput rest = *this;
    rest.x += row * k;
    if (up != nullptr) rest.up += row * k;
    if (rows != nullptr) rest.rows += row * k;
    return rest;
  }
};

/// Products of the same rows with one or more matrices of k columns, m = rows.all(). Each tile of a
/// packed matrix is read from memory once for the rows of both roles. An addend may be its out
/// except through XNNPACK.
void linear(const OpContext& context, const LinearInput& input, RoleRows rows,
            std::span<const LinearJob> jobs, LinearScratch& scratch);

/// out[tokens, k] = rows of table[n, k], which has rows or tiles. Ids are in range.
void embed(const OpContext& context, const PreparedMatrix& table, std::span<const int32_t> tokens,
           float* out);

/// out[m, n] = rmsnorm(x[m, n]) * weight[n]. Strides in floats.
void rmsnorm(const OpContext& context, const float* x, int64_t x_stride, const float* weight,
             float epsilon, int64_t m, int64_t n, float* out, int64_t out_stride);

/// Which elements of a head rotate together, see RopeArgs, and by which angles.
struct RopeRows {
  int64_t width = 0;           ///< rotated elements of each head
  bool interleaved = false;    ///< pairs (2j, 2j + 1) instead of (j, j + width / 2)
  const float* cos = nullptr;  // [m, width / 2]
  const float* sin = nullptr;  // [m, width / 2]
};

/// Rotates q[m, heads * head_dim] and k[m, kv_heads * head_dim] in place, and stores k and
/// v[m, kv_heads * head_dim] in the caches of the segments as layer `layer`. What is in q is for
/// attention() alone then, k and v are used up.
void rope_and_store(const OpContext& context, const AttentionShape& shape,
                    std::span<const Segment> segments, int64_t layer, const RopeRows& rope,
                    float* q, float* k, float* v);

/// out[m, heads * head_dim] = causal attention of q[m, heads * head_dim] over the cached tokens of
/// each row's segment, layer `layer`. No row's position reaches the scratch's length_max.
void attention(const OpContext& context, const AttentionShape& shape,
               std::span<const Segment> segments, int64_t layer, const float* q,
               AttentionScratch& scratch, float* out);

/// x[i] += y[i], i = 0..count-1.
void add_to(const OpContext& context, float* x, const float* y, int64_t count);

}  // namespace midge
