// Dense float weights through XNNPACK's fully-connected operator.
//
// XNNPACK packs a copy of the weights; packed_bytes() counts it. Its sums are ordered as its own
// kernels like, so results differ from the generic kernels in the last bits and may depend on the
// number of rows: this path is exempt from the bit-for-bit promises of docs/architecture.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "engine/core/status.h"
#include "engine/ops/ops.h"

namespace midge {

/// Operators for a set of matrices. One caller at a time.
class DenseBackend {
 public:
  /// True if this build has XNNPACK.
  static bool available();

  /// Packs every matrix of `matrices` that is f32, f16 or bf16 (the latter two as f32).
  /// on_progress(done, total), if given, is called after each.
  /// Errors: unsupported (built without XNNPACK), out_of_memory.
  static Result<std::unique_ptr<DenseBackend>> create(
      std::span<const WeightMatrix> matrices,
      const std::function<void(int64_t, int64_t)>& on_progress);

  virtual ~DenseBackend() = default;
  DenseBackend(const DenseBackend&) = delete;
  DenseBackend& operator=(const DenseBackend&) = delete;

  /// True if linear() for `w` goes through here.
  virtual bool holds(const WeightMatrix& w) const = 0;
  /// out[m, w.n] = x[m, w.k] * w^T on `team`; w is held.
  virtual void run(const WorkerTeam& team, const WeightMatrix& w, const float* x, int64_t m,
                   float* out) = 0;
  /// Anonymous memory of the packed copies, an upper bound.
  virtual int64_t packed_bytes() const = 0;

 protected:
  DenseBackend() = default;
};

}  // namespace midge
