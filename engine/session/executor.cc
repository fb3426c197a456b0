#include "engine/session/executor.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/core/check.h"
#include "engine/core/visible.h"
#include "engine/decoder/limits.h"
#include "engine/session/step.h"
#include "engine/weights/encode.h"
#include "engine/weights/pack.h"
#include "engine/weights/prepare.h"

namespace midge {
namespace {

constexpr int64_t kRowsMax = 4096;

// What a matrix is copied as, packed or in rows: nothing if it stays in place.
std::optional<Encoding> copied_encoding(const std::string& name, const WeightRows& w,
                                        const ExecutorOptions& options) {
  const std::optional<Encoding> asked = options.weights.encoding_of(name);
  // Rows are looked up: a table of its own is copied only if another encoding is asked for.
  if (name == "embedding" && !asked.has_value()) return std::nullopt;
  const Encoding target = asked.value_or(w.encoding);
  if (options.arithmetic == Arithmetic::kPacked) {
    return can_pack(w.encoding, target) ? std::optional(target) : std::nullopt;
  }
  return w.encoding != target ? std::optional(target) : std::nullopt;
}

Status check_limit(const char* what, int64_t value) {
  if (value >= 1 && value <= kRowsMax) return Status();
  return make_status(StatusCode::kInvalidArgument, "%lld %s, expected 1..%lld",
                     static_cast<long long>(value), what, static_cast<long long>(kRowsMax));
}

// Packed weights are what they are.
Status check_packed(const Model& model, const ExecutorOptions& options) {
  Status status;
  const bool tied = model.config().tied_head;
  visit_matrices(model.weights(), tied, [&](const std::string& name, const PreparedMatrix& w) {
    if (!status.ok() || w.form != PreparedMatrix::Form::kTiles) return;
    const char* asked = nullptr;
    if (options.weights.encoding_of(name).has_value()) asked = "another encoding";
    if (options.arithmetic != Arithmetic::kPacked) asked = "float arithmetic";
    if (asked == nullptr) return;
    status = make_status(StatusCode::kUnsupported,
                         "%s: %s for '%s', which is packed already; expected the model that it was "
                         "packed from",
                         shown_path(model.storage().path()).c_str(), asked, name.c_str());
  });
  return status;
}

// The largest change of form, f16 from 4 bits, takes 3.6 times a file: what needs more is padding.
Status check_image(const PreparePlan& plan, const WeightStorage& storage) {
  const int64_t most = default_memory(storage.file_bytes());
  if (plan.bytes() <= most) return Status();
  return make_status(StatusCode::kModelMismatch,
                     "%s: prepared weights of %lld bytes for files of %llu, expected at most %lld",
                     shown_path(storage.path()).c_str(), static_cast<long long>(plan.bytes()),
                     static_cast<unsigned long long>(storage.file_bytes()),
                     static_cast<long long>(most));
}

Status check_options(const ExecutorOptions& options) {
  MIDGE_RETURN_IF_ERROR(options.weights.check());
  MIDGE_RETURN_IF_ERROR(check_limit("rows of a pass", options.rows_max));
  return check_limit("rows of logits", options.logit_rows_max);
}

}  // namespace

StepBuffers::StepBuffers(int64_t rows_max) {
  const auto rows = static_cast<size_t>(rows_max);
  active.reserve(rows);
  parts.reserve(rows);
  active_of_part.reserve(rows);
  tokens.reserve(rows);
  segments.reserve(rows);
  outputs.reserve(rows);
}

StepBuffers::~StepBuffers() = default;

void StepBuffers::clear() {
  active.clear();
  clear_pass();
}

void StepBuffers::clear_pass() {
  parts.clear();
  active_of_part.clear();
}

void StepBuffers::clear_batch() {
  tokens.clear();
  segments.clear();
  outputs.clear();
}

struct Executor::WeightPlan {
  PreparePlan plan;
  std::vector<PreparedMatrix*> places;          // of the plan's matrices
  std::vector<std::vector<float>> importances;  // that it points into
};

Result<Executor::WeightPlan> Executor::plan_weights(const ExecutorOptions& options) {
  WeightPlan weights;
  std::vector<std::string> names;
  const auto form = options.arithmetic == Arithmetic::kPacked ? MatrixTarget::Form::kTiles
                                                              : MatrixTarget::Form::kFloats;
  Status status;
  const bool tied = model_.config().tied_head;
  visit_matrices(weights_, tied, [&](const std::string& name, PreparedMatrix& w) {
    names.push_back(name);
    if (!status.ok() || w.form == PreparedMatrix::Form::kTiles) return;
    const std::optional<Encoding> target = copied_encoding(name, w.rows, options);
    if (!target.has_value()) return;
    const float* importance = nullptr;
    if (options.importance != nullptr && *target != w.rows.encoding) {
      Result<std::vector<float>> found = options.importance->of_matrix(name, w.rows.k);
      status = found.status();
      if (!status.ok()) return;
      weights.importances.push_back(std::move(*found));
      if (!weights.importances.back().empty()) importance = weights.importances.back().data();
    }
    weights.plan.add(name, w.rows, {*target, form, importance});
    weights.places.push_back(&w);
  });
  MIDGE_RETURN_IF_ERROR(status);
  MIDGE_RETURN_IF_ERROR(options.weights.check_names(names));
  if (options.arithmetic == Arithmetic::kPacked) {
    MIDGE_RETURN_IF_ERROR(check_image(weights.plan, model_.storage()));
  }
  return weights;
}

Status Executor::copy_weights(const ExecutorOptions& options, const Progress& on_progress) {
  MIDGE_ASSIGN_OR_RETURN(const WeightPlan weights, plan_weights(options));
  const PreparePlan& plan = weights.plan;
  MemorySink sink(options.huge_pages);
  MIDGE_RETURN_IF_ERROR(
      prepare_weights(plan, model_.storage(), *team_, kernels(), sink, on_progress));
  image_ = sink.take();
  packed_bytes_ += plan.bytes();
  for (size_t i = 0; i < weights.places.size(); ++i) {
    *weights.places[i] = prepared_matrix(plan.matrices()[i], image_.data());
  }
  if (model_.config().tied_head) weights_.embedding = weights_.head;
  return Status();
}

// By what calibration says of the packed weights.
// A table for each type of core: by what was measured, if anything was.
KernelTables Executor::make_tables(const ExecutorOptions& options) const {
  std::vector<KernelTable> of_types;
  for (size_t type = 0; type < team_->topology().types.size(); ++type) {
    const CpuFeatures isa =
        type < options.isa_of_types.size() ? options.isa_of_types[type] : options.isa;
    std::vector<TunedKernel> tuned;
    if (type < calibration_.cores.size()) {
      tuned = fastest_kernels(calibration_.calibration, calibration_.cores, isa,
                              static_cast<int>(type));
    }
    of_types.push_back(make_kernel_table({isa, options.kernels, tuned}));
  }
  return KernelTables(std::move(of_types));
}

Status Executor::choose_kernels(const ExecutorOptions& options) {
  std::vector<WeightTiles> samples;
  visit_linear_matrices(weights_, [&](const std::string&, const PreparedMatrix& w) {
    if (w.form == PreparedMatrix::Form::kTiles) samples.push_back(w.tiles);
  });
  CalibrateOptions calibrate_options;
  calibrate_options.features = options.isa;
  calibrate_options.cache_dir = options.cache_dir;
  calibrate_options.bytes_min = options.calibrate_bytes_min;
  MIDGE_ASSIGN_OR_RETURN(calibration_, calibrate(*team_, samples, calibrate_options));
  kernels_ = make_tables(options);
  // Cores by the encoding that most of the weights have.
  std::map<Encoding, int64_t> bytes;
  for (const WeightTiles& tiles : samples)
    bytes[tiles.encoding] += tiles.tile_count() * tiles.tile_bytes();
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != bytes.end()) {
    team_->use_rates(
        core_rates(calibration_.calibration, team_->topology(), options.isa, most->first));
  }
  return Status();
}

Status Executor::make_dense_operators(const Progress& on_progress) {
  std::vector<PreparedMatrix*> matrices;
  visit_linear_matrices(weights_, [&](const std::string&, PreparedMatrix& w) {
    if (encoding_info(w.rows.encoding).block_elements == 1) matrices.push_back(&w);
  });
  for (size_t i = 0; i < matrices.size(); ++i) {
    PreparedMatrix& w = *matrices[i];
    MIDGE_ASSIGN_OR_RETURN(
        std::unique_ptr<DenseOperator> op,
        create_dense_operator(w.rows, kernels(), team_->thread_count(), &packed_bytes_));
    w.form = PreparedMatrix::Form::kDense;
    w.dense = op.get();
    dense_.push_back(std::move(op));
    if (on_progress != nullptr) {
      on_progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(matrices.size()));
    }
  }
  return Status();
}

int64_t Executor::logits_bytes() const {
  return limits_.logit_rows_max * model_.config().vocab_size * static_cast<int64_t>(sizeof(float));
}

Status Executor::take_memory(Residency residency) {
  MIDGE_ASSIGN_OR_RETURN(scratch_,
                         DecoderScratch::create(engine(), limits_.rows_max, limits_.context_max));
  const int64_t vocab_size = model_.config().vocab_size;
  MIDGE_ASSIGN_OR_RETURN(logits_, AlignedBuffer::create(logits_bytes(), "logits"));
  for (int i = 0; i < thread_count(); ++i) {
    MIDGE_ASSIGN_OR_RETURN(SamplerWorkspace workspace,
                           SamplerWorkspace::create(vocab_size, kernels().exp_sum));
    MIDGE_RETURN_IF_ERROR(workspace.buffer().settle(residency, "the memory of sampling"));
    workspaces_.push_back(std::move(workspace));
  }
  MIDGE_RETURN_IF_ERROR(scratch_.settle(residency));
  MIDGE_RETURN_IF_ERROR(logits_.settle(residency, "logits"));
  if (residency == Residency::kResident) populate_weights();
  return residency == Residency::kLocked ? lock_weights() : Status();
}

// visit(name, start, bytes) of each piece of memory that holds weights.
template <typename Visit>
void Executor::visit_weight_memory(const Visit& visit) const {
  visit_matrices(
      weights_, model_.config().tied_head, [&](const std::string& name, const PreparedMatrix& w) {
        w.visit_memory([&](const uint8_t* start, int64_t bytes) { visit(name, start, bytes); });
      });
}

void Executor::populate_weights() const {
  team_->run([&](const Worker& worker) {
    visit_weight_memory([&](const std::string&, const uint8_t* start, int64_t bytes) {
      const int64_t begin = bytes * worker.index() / worker.count();
      const int64_t end = bytes * (worker.index() + 1) / worker.count();
      populate_pages(start + begin, static_cast<uint64_t>(end - begin));
    });
  });
}

Status Executor::lock_weights() const {
  Status status;
  visit_weight_memory([&](const std::string& name, const uint8_t* start, int64_t bytes) {
    if (status.ok()) status = lock_pages(start, static_cast<uint64_t>(bytes), name.c_str());
  });
  return status;
}

Status Executor::trim() {
  const ExecutorUse use(*this);
  MIDGE_RETURN_IF_ERROR(use.status());
  scratch_.release();
  logits_.release(0, logits_.bytes());
  for (const SamplerWorkspace& workspace : workspaces_) {
    workspace.buffer().release(0, workspace.bytes());
  }
  const uint8_t* copies = image_.data();
  visit_weight_memory([&](const std::string&, const uint8_t* start, int64_t bytes) {
    const bool is_copy = start >= copies && start < copies + image_.bytes();
    if (!is_copy) model_.storage().release_pages(start, bytes);
  });
  return Status();
}

Status Executor::swap_matrix(std::string_view name, PreparedMatrix* w) {
  PreparedMatrix* place = nullptr;
  visit_linear_matrices(weights_, [&](const std::string& other, PreparedMatrix& matrix) {
    if (name == other && name != "head") place = &matrix;
  });
  if (place == nullptr) {
    return make_status(StatusCode::kNotFound, "no matrix '%s' in the layers",
                       printable(name).c_str());
  }
  MIDGE_DCHECK(place->n() == w->n() && place->k() == w->k(), "matrix of another shape");
  std::swap(*place, *w);
  return Status();
}

Status Executor::with_kernels(KernelTables kernels, int64_t rows_max,
                              const std::function<Status()>& body) {
  std::swap(kernels_, kernels);
  Result<DecoderScratch> created = DecoderScratch::create(engine(), rows_max, limits_.context_max);
  Status status = created.status();
  if (status.ok()) {
    std::swap(scratch_, *created);
    std::swap(limits_.rows_max, rows_max);
    status = body();
    std::swap(limits_.rows_max, rows_max);
    std::swap(scratch_, *created);
  }
  std::swap(kernels_, kernels);
  return status;
}

int64_t Executor::scratch_bytes() const {
  int64_t bytes = scratch_.bytes() + logits_.bytes();
  for (const SamplerWorkspace& workspace : workspaces_) bytes += workspace.bytes();
  return bytes;
}

float* Executor::logits(int64_t row) {
  MIDGE_DCHECK(row >= 0 && row < limits_.logit_rows_max, "row %lld", static_cast<long long>(row));
  return reinterpret_cast<float*>(logits_.data()) + row * model_.config().vocab_size;
}

Result<std::unique_ptr<Executor>> Executor::prepare(const Model& model,
                                                    const ExecutorOptions& options) {
  MIDGE_RETURN_IF_ERROR(check_options(options));
  MIDGE_RETURN_IF_ERROR(check_packed(model, options));
  // Small files of hostile shapes get fewer rows, not a large machine; results do not depend on
  // them.
  const ModelConfig& config = model.config();
  const int64_t memory = default_memory(model.storage().file_bytes());
  const int64_t logits_bytes = config.vocab_size * static_cast<int64_t>(sizeof(float));
  Limits limits;
  limits.rows_max = batch_rows_within(config, options.rows_max, memory);
  limits.logit_rows_max =
      std::min(options.logit_rows_max, std::max<int64_t>(1, memory / logits_bytes));
  MIDGE_ASSIGN_OR_RETURN(limits.context_max, resolve_context_length(config, options.context_max));
  std::shared_ptr<const WorkerTeam> team = options.team;
  if (team == nullptr) {
    MIDGE_ASSIGN_OR_RETURN(
        WorkerTeam own,
        WorkerTeam::create(TeamOptions{{options.threads, options.cores}, options.pins, {}}));
    team = std::make_shared<const WorkerTeam>(std::move(own));
  }
  std::unique_ptr<Executor> executor(new Executor(model, std::move(team), limits));
  executor->isa_ = options.isa;
  executor->kernels_ = executor->make_tables(options);
  return executor;
}

Result<ExecutorMemory> plan_executor(const Model& model, const ExecutorOptions& options) {
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::prepare(model, options));
  MIDGE_ASSIGN_OR_RETURN(const Executor::WeightPlan weights, executor->plan_weights(options));
  ExecutorMemory memory;
  memory.weights_copied = weights.plan.bytes();
  std::set<const PreparedMatrix*> copied(weights.places.begin(), weights.places.end());
  const bool tied = model.config().tied_head;
  visit_matrices(executor->weights_, tied, [&](const std::string&, const PreparedMatrix& w) {
    if (!copied.contains(&w)) memory.weights_in_place += w.bytes();
  });
  if (model.storage().is_used_in_place()) {
    memory.weights_in_place = static_cast<int64_t>(model.storage().file_bytes());
  }
  const Executor::Limits& limits = executor->limits_;
  memory.rows_max = limits.rows_max;
  memory.scratch =
      DecoderScratch::bytes_for(executor->engine(), limits.rows_max, limits.context_max) +
      executor->logits_bytes() +
      executor->thread_count() * SamplerWorkspace::bytes_for(model.config().vocab_size);
  return memory;
}

Result<std::unique_ptr<Executor>> Executor::create(const Model& model,
                                                   const ExecutorOptions& options,
                                                   const Progress& on_progress) {
  MIDGE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor, prepare(model, options));
  MIDGE_RETURN_IF_ERROR(executor->copy_weights(options, on_progress));
  if (options.arithmetic == Arithmetic::kXnnpack) {
    MIDGE_RETURN_IF_ERROR(executor->make_dense_operators(on_progress));
  }
  if (options.calibrate && options.arithmetic == Arithmetic::kPacked) {
    MIDGE_RETURN_IF_ERROR(executor->choose_kernels(options));
  }
  MIDGE_RETURN_IF_ERROR(executor->take_memory(options.residency));
  return executor;
}

Status ExecutorUse::status() const {
  if (mine_) return Status();
  return make_status(StatusCode::kBusy, "a pass while another one runs on the same executor");
}

}  // namespace midge
