// What computes: the worker team, the chosen kernels and the weights as they want them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/calibration/calibrate.h"
#include "engine/core/aligned_buffer.h"
#include "engine/decoder/decoder.h"
#include "engine/decoder/model.h"
#include "engine/ops/dense_backend.h"
#include "engine/ops/ops.h"

namespace midge {

/// How matrices are multiplied.
enum class Arithmetic {
  kPacked,   ///< packed copies with int8 activations for quantised and f16 weights, in place else
  kFloat,    ///< f32 activations on rows of weights: slow, the reference for quality
  kXnnpack,  ///< as kFloat, but f32, f16 and bf16 weights through XNNPACK on an f32 copy
};

struct ExecutorOptions {
  int threads = 0;  ///< 1..256; 0: one per core of this process
  Arithmetic arithmetic = Arithmetic::kPacked;
  /// Encodes the matrices with can_encode's encoding first, for kFloat as copies of their rows; not
  /// for kXnnpack. Nothing: as in the files.
  std::optional<Encoding> weights;
  CpuFeatures isa;         ///< features of the cores that kernels may use
  std::string kernels;     ///< names of kernels to prefer, see KernelChoice; empty: none
  bool huge_pages = true;  ///< ask for large pages for the copies of the weights
  /// For kPacked: choose kernels by their speed on the weights, measured when they are first run on
  /// this machine (CalibrateOptions); the results are the same. Without: by the highest level.
  bool calibrate = false;
  /// Keeps what was measured; empty: nothing is written, each executor measures anew.
  std::string cache_dir;
  int64_t calibrate_bytes_min =
      CalibrateOptions().bytes_min;  ///< encodings with less: not measured
};

/// Shared by the sessions of one model; runs one step at a time.
class Executor {
 public:
  /// on_progress(done, total), if given, is called while weights are copied.
  /// Errors: invalid_argument, invalid_file (weights that are infinite or not numbers), unsupported
  /// (no XNNPACK in this build), out_of_memory.
  static Result<std::unique_ptr<Executor>> create(
      const Model& model, const ExecutorOptions& options,
      const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

  const Model& model() const { return model_; }
  /// With the model's weights as prepared for the kernels.
  DecoderEngine engine() const {
    return {&model_.config(), &weights_, &kernels_, &team_, profile_};
  }
  /// The kernels of every worker.
  const KernelTable& kernels() const { return kernels_.of_worker(0); }
  /// What the kernels were chosen by; without cores if not calibrated.
  const CalibrationReport& calibration() const { return calibration_; }
  /// Features that the kernels were chosen by.
  CpuFeatures isa() const { return isa_; }
  int thread_count() const { return team_.thread_count(); }
  const WorkerTeam& team() const { return team_; }
  /// The copies of the weights, packed or encoded; empty if all stay in place.
  std::span<const uint8_t> packed() const {
    return {copies_.data(), static_cast<size_t>(copies_.bytes())};
  }
  /// Keeps times of operations in *profile from now on; null: no more. Not during a step.
  void set_profile(OpProfile* profile) { profile_ = profile; }
  /// Anonymous memory of the copies, XNNPACK's included.
  int64_t packed_bytes() const { return packed_bytes_; }

 private:
  using Progress = std::function<void(int64_t, int64_t)>;

  Executor(const Model& model, WorkerTeam team)
      : model_(model), weights_(model.weights()), team_(std::move(team)) {}

  Status copy_weights(const ExecutorOptions& options, const Progress& on_progress);
  Status choose_kernels(const ExecutorOptions& options);
  Status make_dense_operators(const Progress& on_progress);

  const Model& model_;
  ModelWeights weights_;
  WorkerTeam team_;
  CpuFeatures isa_;
  CalibrationReport calibration_;
  KernelTables kernels_;
  AlignedBuffer copies_;
  std::vector<std::unique_ptr<DenseOperator>> dense_;
  int64_t packed_bytes_ = 0;
  OpProfile* profile_ = nullptr;
};

}  // namespace midge
