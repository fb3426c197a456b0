// What computes: the worker team, the chosen kernels, the weights as they want them, and the memory
// of a pass.
#pragma once

#include <atomic>
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
#include "engine/platform/cpu_features.h"
#include "engine/session/sampler.h"
#include "engine/weights/importance.h"
#include "engine/weights/recipe.h"

namespace midge {

/// How matrices are multiplied.
enum class Arithmetic {
  kPacked,   ///< packed copies with int8 activations for quantised and f16 weights, in place else
  kFloat,    ///< f32 activations on rows of weights: slow, the reference for quality
  kXnnpack,  ///< as kFloat, but f32, f16 and bf16 weights through XNNPACK on an f32 copy
};

struct ExecutorOptions {
  int threads = 0;    ///< 1..256; 0: as many as passes need
  std::string cores;  ///< as CoreRequest::cores
  bool pins = true;   ///< as TeamOptions::pins
  /// The workers, which several executors may share if one runs at a time; null: `threads` of its
  /// own.
  std::shared_ptr<const WorkerTeam> team;
  Arithmetic arithmetic = Arithmetic::kPacked;
  /// Encodes the matrices first; for kFloat and kXnnpack as f32 copies of the weights that come
  /// out.
  WeightRecipe weights;
  /// Of the channels of each matrix, for `weights`; null: all count alike. Outlives create().
  const Importance* importance = nullptr;
  CpuFeatures isa = detect_cpu_features();  ///< features that kernels may use; this machine's
  /// Of the types of core of the team's topology, where they differ from `isa`; those beyond the
  /// list have it.
  std::vector<CpuFeatures> isa_of_types;
  std::string kernels;     ///< names of kernels to prefer, see KernelChoice; empty: none
  bool huge_pages = true;  ///< ask for large pages for the copies of the weights
  /// For kPacked: choose kernels by their speed on the weights, measured when they are first run on
  /// this machine (CalibrateOptions); the results are the same. Without: by the highest level.
  bool calibrate = false;
  /// Keeps what was measured; empty: nothing is written, each executor measures anew.
  std::string cache_dir;
  int64_t calibrate_bytes_min =
      CalibrateOptions().bytes_min;  ///< encodings with less: not measured
  int64_t rows_max = 512;            ///< most rows of a pass through the layers, 1..4096
  int64_t context_max = 0;           ///< tokens of a sequence; 0: the model's, at most 4096
  /// Of the memory of a pass, and of the weights, where they are mapped as where they are copied:
  /// resident, they are read now and not by the first pass.
  Residency residency = Residency::kLazy;
  int64_t logit_rows_max = 64;  ///< most rows of logits it has room for, see logits(); 1..4096
};

/// Bytes of an executor, known before anything is read.
struct ExecutorMemory {
  /// Of the model's files: mapped, the system may drop and reread it. Of a packed file all bytes.
  int64_t weights_in_place = 0;
  int64_t weights_copied = 0;  ///< anonymous: packed or encoded anew
  int64_t scratch = 0;         ///< anonymous: activations, logits, samplers
  int64_t rows_max = 0;        ///< rows of a pass that this is for
};

/// What create() will take for these options, but for XNNPACK's copies. Errors: those of create()
/// that do not depend on the weights' values.
Result<ExecutorMemory> plan_executor(const Model& model, const ExecutorOptions& options);

/// Room for what run_step() puts together for a pass. All of it is reserved at creation.
struct StepBuffers {
  /// A step that goes on, and the position of its first token.
  struct Active {
    struct SequenceStep* step;
    int64_t first;
  };

  explicit StepBuffers(int64_t rows_max);
  ~StepBuffers();
  void clear();
  void clear_pass();
  void clear_batch();

  std::vector<Active> active;
  std::vector<struct PassPart> parts;
  std::vector<const Active*> active_of_part;
  // Of the pass that runs.
  std::vector<int32_t> tokens;
  std::vector<Segment> segments;
  std::vector<RowOutputs> outputs;  // of the segments
};

/// Shared by the sequences of one model. Owns the memory of a pass, sized once; a pass that begins
/// while another runs is refused, see ExecutorUse.
class Executor {
 public:
  /// on_progress(done, total), if given, is called while weights are copied.
  /// Errors: invalid_argument (options; an override that matches no matrix), invalid_file (weights
  /// that are infinite or not numbers), unsupported (no XNNPACK in this build; another encoding or
  /// float arithmetic for packed weights), out_of_memory.
  static Result<std::unique_ptr<Executor>> create(
      const Model& model, const ExecutorOptions& options,
      const std::function<void(int64_t, int64_t)>& on_progress = nullptr);

  const Model& model() const { return model_; }
  /// With the model's weights as prepared for the kernels.
  DecoderEngine engine() const {
    return {&model_.config(), &weights_, &kernels_, team_.get(), profile_, observer_};
  }
  /// The kernels of the first type of core.
  const KernelTable& kernels() const { return kernels_.of_type(0); }
  /// What the kernels were chosen by; without cores if not calibrated.
  const CalibrationReport& calibration() const { return calibration_; }
  /// Features that the kernels were chosen by.
  CpuFeatures isa() const { return isa_; }
  int thread_count() const { return team_->thread_count(); }
  const WorkerTeam& team() const { return *team_; }
  /// The copies of the weights, packed or encoded; empty if all stay in place.
  std::span<const uint8_t> packed() const {
    return {image_.data(), static_cast<size_t>(image_.bytes())};
  }
  /// Keeps what the workers do in *profile, with a log for each of them, from now on; null: no
  /// more. Not during a step.
  void set_profile(Profile* profile) { profile_ = profile; }
  /// Shows the rows that matrices are multiplied with to *observer from now on, which runs on
  /// worker 0; null: no more. For kFloat and kXnnpack: packed matrices read no floats. Not during a
  /// step.
  void set_observer(InputObserver* observer) { observer_ = observer; }
  /// Multiplies with *w in place of the matrix of the layers that goes by this name, from now on,
  /// and puts into *w what was used until now. Of the same shape; its memory outlives its use. Not
  /// during a step. Errors: not_found.
  Status swap_matrix(std::string_view name, PreparedMatrix* w);
  /// Runs body() with these kernels in place of the chosen ones, on passes of at most `rows_max`
  /// rows. Not during a step. Errors: out_of_memory, those of body.
  Status with_kernels(KernelTables kernels, int64_t rows_max, const std::function<Status()>& body);
  /// Anonymous memory of the copies, XNNPACK's included.
  int64_t packed_bytes() const { return packed_bytes_; }

  int64_t rows_max() const { return limits_.rows_max; }
  int64_t context_max() const { return limits_.context_max; }
  int64_t logit_rows_max() const { return limits_.logit_rows_max; }
  /// Anonymous memory of a pass: activations, quantised copies, logits, the sampler's.
  int64_t scratch_bytes() const;

  /// Room for logits [vocab_size]; those of row + 1 follow. What lies there is of the last step
  /// that was told to put it there. row: below logit_rows_max.
  float* logits(int64_t row);
  /// Of one worker of the team.
  SamplerWorkspace& sampler_workspace(int worker) { return workspaces_[size_t(worker)]; }

  /// Gives memory back to the system that can be had again: that of a pass, logits included, and
  /// the pages of mapped weights. The next pass takes it again, with the same results. Locked
  /// memory stays. Errors: busy (a pass runs).
  Status trim();

  // For steps, under an ExecutorUse.
  DecoderScratch& scratch() { return scratch_; }
  StepBuffers& step_buffers() { return step_buffers_; }

 private:
  friend class ExecutorUse;
  using Progress = std::function<void(int64_t, int64_t)>;
  struct Limits {
    int64_t rows_max = 0;
    int64_t context_max = 0;
    int64_t logit_rows_max = 0;
  };

  Executor(const Model& model, std::shared_ptr<const WorkerTeam> team, const Limits& limits)
      : model_(model),
        weights_(model.weights()),
        team_(std::move(team)),
        limits_(limits),
        step_buffers_(limits.rows_max) {}

  friend Result<ExecutorMemory> plan_executor(const Model&, const ExecutorOptions&);

  // An executor without memory of its own; weights are those of the files.
  static Result<std::unique_ptr<Executor>> prepare(const Model& model,
                                                   const ExecutorOptions& options);
  // What becomes of the weights.
  struct WeightPlan;
  Result<WeightPlan> plan_weights(const ExecutorOptions& options);
  Status copy_weights(const ExecutorOptions& options, const Progress& on_progress);
  Status choose_kernels(const ExecutorOptions& options);
  KernelTables make_tables(const ExecutorOptions& options) const;
  Status make_dense_operators(const Progress& on_progress);
  Status take_memory(Residency residency);
  template <typename Visit>
  void visit_weight_memory(const Visit& visit) const;
  Status lock_weights() const;
  void populate_weights() const;
  int64_t logits_bytes() const;

  const Model& model_;
  PreparedWeights weights_;
  std::shared_ptr<const WorkerTeam> team_;
  CpuFeatures isa_;
  CalibrationReport calibration_;
  KernelTables kernels_;
  AlignedBuffer image_;
  std::vector<std::unique_ptr<DenseOperator>> dense_;
  int64_t packed_bytes_ = 0;
  Profile* profile_ = nullptr;
  InputObserver* observer_ = nullptr;
  Limits limits_;
  DecoderScratch scratch_;
  AlignedBuffer logits_;
  std::vector<SamplerWorkspace> workspaces_;
  StepBuffers step_buffers_;
  std::atomic<bool> in_use_ = false;
};

/// The right to run passes on an executor, until the end of a scope. Two at a time are a mistake of
/// the caller: the second one is refused, from whatever thread it comes.
class ExecutorUse {
 public:
  explicit ExecutorUse(Executor& executor)
      : executor_(executor), mine_(!executor.in_use_.exchange(true, std::memory_order_acquire)) {}
  ~ExecutorUse() {
    if (mine_) executor_.in_use_.store(false, std::memory_order_release);
  }
  ExecutorUse(const ExecutorUse&) = delete;
  ExecutorUse& operator=(const ExecutorUse&) = delete;

  /// ok, or busy.
  Status status() const;

 private:
  Executor& executor_;
  bool mine_;
};

}  // namespace midge
