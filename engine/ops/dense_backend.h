// Dense float weights through XNNPACK's fully-connected operator.
//
// XNNPACK packs a copy of the weights; packed_bytes() counts it. Its sums are ordered as its own
// kernels like, so results differ from the generic kernels in the last bits and may depend on the
// number of rows: this path is exempt from the bit-for-bit promises of docs/architecture.md.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/core/status.h"
#include "engine/ops/ops.h"

namespace midge {

/// The fully-connected operator of one matrix, in as many row pieces as a team has workers.
class DenseOperator {
 public:
  virtual ~DenseOperator() = default;
  /// out[m, n] = x[m, k] * w^T. Called by every worker; returns when its own pieces are done.
  virtual void run(const Worker& worker, const float* x, int64_t m, float* out) const = 0;

 protected:
  DenseOperator() = default;
  DenseOperator(const DenseOperator&) = delete;
  DenseOperator& operator=(const DenseOperator&) = delete;
};

/// True if this build has XNNPACK.
bool dense_backend_available();

/// Packs a matrix that is f32, f16 or bf16 (the latter two as f32) for `thread_count` workers.
/// *packed_bytes grows by the memory of the copy, an upper bound.
/// Errors: unsupported (built without XNNPACK), out_of_memory.
Result<std::unique_ptr<DenseOperator>> create_dense_operator(const WeightRows& w,
                                                             const KernelTable& kernels,
                                                             int thread_count,
                                                             int64_t* packed_bytes);

}  // namespace midge
