#include <limits>
#include <unordered_map>

#include <xnnpack.h>

#include "engine/core/aligned_buffer.h"
#include "engine/ops/dense_backend.h"
#include "kernels/half.h"

namespace midge {
namespace {

struct OperatorDeleter {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using Operator = std::unique_ptr<xnn_operator, OperatorDeleter>;

bool is_dense(Encoding encoding) {
  return encoding == Encoding::kF32 || encoding == Encoding::kF16 || encoding == Encoding::kBF16;
}

// XNNPACK rounds the rows of a packed matrix up to its tile and adds a bias for each; no f32 tile
// of it is wider than 32 rows.
constexpr int64_t kPackedRows = 32;

// The rows of `w` as dense f32.
Result<AlignedBuffer> expand(const WeightMatrix& w, const KernelTable& kernels) {
  MIDGE_ASSIGN_OR_RETURN(
      AlignedBuffer dense,
      AlignedBuffer::create(w.n * w.k * static_cast<int64_t>(sizeof(float)), "float weights"));
  auto* out = reinterpret_cast<float*>(dense.data());
  for (int64_t i = 0; i < w.n; ++i) {
    const DequantizeArgs args = {w.k, w.rows(i, 1).data, out + i * w.k};
    kernels.dequantize[static_cast<int>(w.encoding)](&args);
  }
  return dense;
}

class XnnpackBackend final : public DenseBackend {
 public:
  Status add(const WeightMatrix& w, const KernelTable& kernels) {
    if (!is_dense(w.encoding) || holds(w)) return Status();
    MIDGE_ASSIGN_OR_RETURN(const AlignedBuffer dense, expand(w, kernels));
    xnn_operator_t op = nullptr;
    const auto n = static_cast<size_t>(w.n);
    const auto k = static_cast<size_t>(w.k);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const xnn_status status =
        xnn_create_fully_connected_nc_f32(k, n, k, n, reinterpret_cast<const float*>(dense.data()),
                                          nullptr, -kInfinity, kInfinity, 0, &op);
    if (status != xnn_status_success) {
      return make_status(StatusCode::kOutOfMemory,
                         "XNNPACK cannot pack a matrix of %zu x %zu (its status %d)", n, k,
                         static_cast<int>(status));
    }
    operators_.emplace(w.data, Operator(op));
    packed_bytes_ += round_up(w.n, kPackedRows) * (w.k + 1) * static_cast<int64_t>(sizeof(float));
    return Status();
  }

  bool holds(const WeightMatrix& w) const override { return operators_.count(w.data) != 0; }

  void run(const WorkerTeam& team, const WeightMatrix& w, const float* x, int64_t m,
           float* out) override {
    xnn_operator_t op = operators_.find(w.data)->second.get();
    // Both calls fail only for null pointers or before xnn_initialize.
    xnn_setup_fully_connected_nc_f32(op, static_cast<size_t>(m), x, out, team.pool());
    xnn_run_operator(op, team.pool());
  }

  int64_t packed_bytes() const override { return packed_bytes_; }

 private:
  std::unordered_map<const void*, Operator> operators_;
  int64_t packed_bytes_ = 0;
};

}  // namespace

bool DenseBackend::available() { return true; }

Result<std::unique_ptr<DenseBackend>> DenseBackend::create(
    std::span<const WeightMatrix> matrices,
    const std::function<void(int64_t, int64_t)>& on_progress) {
  if (xnn_initialize(nullptr) != xnn_status_success) {
    return make_status(StatusCode::kUnsupported, "XNNPACK does not run on this machine");
  }
  const KernelTable kernels = make_kernel_table();
  auto backend = std::make_unique<XnnpackBackend>();
  for (size_t i = 0; i < matrices.size(); ++i) {
    MIDGE_RETURN_IF_ERROR(backend->add(matrices[i], kernels));
    if (on_progress != nullptr) {
      on_progress(static_cast<int64_t>(i + 1), static_cast<int64_t>(matrices.size()));
    }
  }
  return std::unique_ptr<DenseBackend>(std::move(backend));
}

}  // namespace midge
