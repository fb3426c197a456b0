// What computes: the worker team, the chosen kernels and the dense backend.
#pragma once

#include <functional>
#include <memory>

#include "engine/ops/dense_backend.h"
#include "engine/ops/ops.h"
#include "models/model.h"

namespace midge {

/// How dense float weights (f32, f16, bf16) are multiplied.
enum class FloatPath {
  kKernels,  ///< midge's own kernels: bit-for-bit reproducible
  kXnnpack,  ///< XNNPACK on a packed f32 copy of the weights
};

struct ExecutorOptions {
  int threads = 0;  ///< 1..256; 0: one per core of this process
  FloatPath float_path = FloatPath::kKernels;
};

/// Shared by the sessions of one model; runs one step at a time.
class Executor {
 public:
  /// on_progress(done, total), if given, is called while weights are packed.
  /// Errors: invalid_argument, unsupported (no XNNPACK in this build), out_of_memory.
  static Result<std::unique_ptr<Executor>> create(
      const Model& model, const ExecutorOptions& options,
      const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

  const Model& model() const { return model_; }
  const OpContext& context() const { return context_; }
  int thread_count() const { return team_.thread_count(); }
  /// Anonymous memory of packed weights.
  int64_t packed_bytes() const { return dense_ == nullptr ? 0 : dense_->packed_bytes(); }

 private:
  Executor(const Model& model, WorkerTeam team) : model_(model), team_(std::move(team)) {}

  const Model& model_;
  WorkerTeam team_;
  KernelTable kernels_ = {};
  std::unique_ptr<DenseBackend> dense_;
  OpContext context_;
};

}  // namespace midge
