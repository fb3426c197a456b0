#include "engine/session/executor.h"

#include "engine/core/checked_math.h"
#include "engine/weights/encode.h"
#include "engine/weights/pack.h"

namespace midge {
namespace {

struct NamedMatrix {
  WeightMatrix* w;
  std::string name;
};

// Every matrix that linear() multiplies with, once. A tied head is the embedding table.
std::vector<NamedMatrix> linear_matrices(ModelWeights& weights) {
  std::vector<NamedMatrix> matrices;
  const auto add_layer = [&](LayerWeights& layer, const std::string& prefix) {
    matrices.push_back({&layer.q, prefix + "q"});
    matrices.push_back({&layer.k, prefix + "k"});
    matrices.push_back({&layer.v, prefix + "v"});
    matrices.push_back({&layer.o, prefix + "o"});
    matrices.push_back({&layer.gate, prefix + "gate"});
    matrices.push_back({&layer.up, prefix + "up"});
    matrices.push_back({&layer.down, prefix + "down"});
  };
  for (size_t i = 0; i < weights.layers.size(); ++i) {
    std::string prefix = "layer ";
    prefix += std::to_string(i) + " ";
    add_layer(weights.layers[i], prefix);
  }
  for (MtpWeights& mtp : weights.mtp) {
    matrices.push_back({&mtp.input_proj, "MTP input_proj"});
    add_layer(mtp.layer, "MTP ");
  }
  matrices.push_back({&weights.head, "head"});
  return matrices;
}

// What a matrix is copied as, packed or in rows: nothing if it stays in place.
std::optional<Encoding> copied_encoding(const WeightMatrix& w, const ExecutorOptions& options) {
  const Encoding target = options.weights.value_or(w.encoding);
  if (options.arithmetic == Arithmetic::kPacked) {
    return can_pack(w.encoding, target) ? std::optional(target) : std::nullopt;
  }
  return w.encoding != target ? std::optional(target) : std::nullopt;
}

int64_t copy_bytes(const WeightMatrix& w, Encoding target, Arithmetic arithmetic) {
  return arithmetic == Arithmetic::kPacked ? packed_bytes(w, target)
                                           : round_up(w.n * encoded_row_bytes(target, w.k), 64);
}

}  // namespace

Status Executor::copy_weights(const ExecutorOptions& options, const Progress& on_progress) {
  std::vector<NamedMatrix> matrices = linear_matrices(weights_);
  int64_t total = 0;
  for (const NamedMatrix& matrix : matrices) {
    const std::optional<Encoding> target = copied_encoding(*matrix.w, options);
    if (target.has_value()) total += copy_bytes(*matrix.w, *target, options.arithmetic);
  }
  if (total == 0) return Status();
  MIDGE_ASSIGN_OR_RETURN(copies_, AlignedBuffer::create(total, "copies of the weights"));
  if (options.huge_pages) copies_.prefer_huge_pages();
  packed_bytes_ += total;
  int64_t done = 0;
  for (const NamedMatrix& matrix : matrices) {
    WeightMatrix& w = *matrix.w;
    const std::optional<Encoding> target = copied_encoding(w, options);
    if (!target.has_value()) continue;
    uint8_t* out = copies_.data() + done;
    const std::string what = model_.storage().path() + ": " + matrix.name;
    const WeightMatrix in_file = w;
    if (options.arithmetic == Arithmetic::kPacked) {
      MIDGE_RETURN_IF_ERROR(pack_matrix(team_, kernels(), w, *target, what, out));
      w.packed = out;
      w.packed_encoding = *target;
    } else {
      MIDGE_RETURN_IF_ERROR(encode_matrix(team_, kernels(), w, *target, what, out));
      w.encoding = *target;
      w.data = out;
      w.row_stride = encoded_row_bytes(*target, w.k);
    }
    done += copy_bytes(in_file, *target, options.arithmetic);
    model_.storage().release_pages(in_file.data, in_file.bytes());
    if (on_progress != nullptr) on_progress(done, total);
  }
  if (model_.config().tied_head) weights_.embedding = weights_.head;
  return Status();
}

// By what calibration says of the packed weights.
Status Executor::choose_kernels(const ExecutorOptions& options) {
  std::vector<PackedSample> samples;
  for (const NamedMatrix& matrix : linear_matrices(weights_)) {
    const WeightMatrix& w = *matrix.w;
    if (w.packed != nullptr) samples.push_back({w.packed_encoding, w.n, w.k, w.packed});
  }
  CalibrateOptions calibrate_options;
  calibrate_options.features = options.isa;
  calibrate_options.cache_dir = options.cache_dir;
  calibrate_options.bytes_min = options.calibrate_bytes_min;
  MIDGE_ASSIGN_OR_RETURN(calibration_, calibrate(team_, samples, calibrate_options));
  const std::vector<TunedKernel> tuned =
      fastest_kernels(calibration_.calibration, calibration_.cores, options.isa);
  kernels_ = KernelTables(make_kernel_table({options.isa, options.kernels, tuned}));
  return Status();
}

Status Executor::make_dense_operators(const Progress& on_progress) {
  std::vector<NamedMatrix> matrices = linear_matrices(weights_);
  for (size_t i = 0; i < matrices.size(); ++i) {
    WeightMatrix& w = *matrices[i].w;
    if (encoding_info(w.encoding).block_elements == 1) {
      MIDGE_ASSIGN_OR_RETURN(
          std::unique_ptr<DenseOperator> op,
          create_dense_operator(w, kernels(), team_.thread_count(), &packed_bytes_));
      w.dense = op.get();
      dense_.push_back(std::move(op));
    }
    if (on_progress != nullptr) {
      on_progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(matrices.size()));
    }
  }
  return Status();
}

Result<std::unique_ptr<Executor>> Executor::create(const Model& model,
                                                   const ExecutorOptions& options,
                                                   const Progress& on_progress) {
  if (options.weights.has_value() && !can_encode(*options.weights)) {
    return make_status(StatusCode::kInvalidArgument,
                       "weights as %s, expected f16, q4b32, q4b32s256 or q8b32",
                       encoding_info(*options.weights).name);
  }
  if (options.weights.has_value() && options.arithmetic == Arithmetic::kXnnpack) {
    return make_status(StatusCode::kInvalidArgument, "XNNPACK does not run %s weights",
                       encoding_info(*options.weights).name);
  }
  MIDGE_ASSIGN_OR_RETURN(WorkerTeam team, WorkerTeam::create(options.threads));
  std::unique_ptr<Executor> executor(new Executor(model, std::move(team)));
  executor->isa_ = options.isa;
  executor->kernels_ = KernelTables(make_kernel_table({options.isa, options.kernels}));
  if (options.arithmetic == Arithmetic::kXnnpack) {
    MIDGE_RETURN_IF_ERROR(executor->make_dense_operators(on_progress));
  } else {
    MIDGE_RETURN_IF_ERROR(executor->copy_weights(options, on_progress));
  }
  if (options.calibrate && options.arithmetic == Arithmetic::kPacked) {
    MIDGE_RETURN_IF_ERROR(executor->choose_kernels(options));
  }
  return executor;
}

}  // namespace midge
