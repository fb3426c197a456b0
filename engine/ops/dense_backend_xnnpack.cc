#include <algorithm>
#include <limits>
#include <vector>

#include <xnnpack.h>

#include "engine/core/aligned_buffer.h"
#include "engine/ops/dense_backend.h"
#include "kernels/call.h"
#include "kernels/half.h"

namespace midge {
namespace {

struct OperatorDeleter {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using Operator = std::unique_ptr<xnn_operator, OperatorDeleter>;

// XNNPACK rounds the rows of a packed matrix up to its tile and adds a bias for each; no f32 tile
// of it is wider than 32 rows.
constexpr int64_t kPackedRows = 32;

// The rows of `w` as dense f32.
Result<AlignedBuffer> expand(const WeightRows& w, const KernelTable& kernels) {
  MIDGE_ASSIGN_OR_RETURN(
      AlignedBuffer dense,
      AlignedBuffer::create(w.n * w.k * static_cast<int64_t>(sizeof(float)), "float weights"));
  auto* out = reinterpret_cast<float*>(dense.data());
  for (int64_t i = 0; i < w.n; ++i) {
    const DequantizeArgs args = {w.k, w.row(i), out + i * w.k};
    call_kernel(kernels.dequantize[static_cast<int>(w.encoding)], args);
  }
  return dense;
}

class XnnpackOperator final : public DenseOperator {
 public:
  XnnpackOperator(int64_t n, int64_t piece_rows) : n_(n), piece_rows_(piece_rows) {}

  Status add_piece(const float* weights, int64_t rows, int64_t k) {
    xnn_operator_t op = nullptr;
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const xnn_status status = xnn_create_fully_connected_nc_f32(
        static_cast<size_t>(k), static_cast<size_t>(rows), static_cast<size_t>(k),
        static_cast<size_t>(n_), weights, nullptr, -kInfinity, kInfinity, 0, &op);
    if (status != xnn_status_success) {
      return make_status(
          StatusCode::kOutOfMemory, "XNNPACK cannot pack a matrix of %lld x %lld (its status %d)",
          static_cast<long long>(rows), static_cast<long long>(k), static_cast<int>(status));
    }
    pieces_.push_back(Operator(op));
    return Status();
  }

  void run(const Worker& worker, const float* x, int64_t m, float* out) const override {
    for (auto piece = static_cast<size_t>(worker.index()); piece < pieces_.size();
         piece += static_cast<size_t>(worker.count())) {
      xnn_operator_t op = pieces_[piece].get();
      // Both calls fail only for null pointers or before xnn_initialize. Without a pool the
      // operator runs on the calling worker.
      xnn_setup_fully_connected_nc_f32(op, static_cast<size_t>(m), x,
                                       out + static_cast<int64_t>(piece) * piece_rows_, nullptr);
      xnn_run_operator(op, nullptr);
    }
  }

 private:
  int64_t n_;
  int64_t piece_rows_;
  std::vector<Operator> pieces_;
};

}  // namespace

bool dense_backend_available() { return true; }

Result<std::unique_ptr<DenseOperator>> create_dense_operator(const WeightRows& w,
                                                             const KernelTable& kernels,
                                                             int thread_count,
                                                             int64_t* packed_bytes) {
  if (xnn_initialize(nullptr) != xnn_status_success) {
    return make_status(StatusCode::kUnsupported, "XNNPACK does not run on this machine");
  }
  MIDGE_ASSIGN_OR_RETURN(const AlignedBuffer dense, expand(w, kernels));
  const auto* weights = reinterpret_cast<const float*>(dense.data());
  const int64_t piece_rows = round_up(ceil_div(w.n, int64_t{thread_count}), kPackedRows);
  auto op = std::make_unique<XnnpackOperator>(w.n, piece_rows);
  for (int64_t first = 0; first < w.n; first += piece_rows) {
    MIDGE_RETURN_IF_ERROR(
        op->add_piece(weights + first * w.k, std::min(piece_rows, w.n - first), w.k));
  }
  *packed_bytes += round_up(w.n, kPackedRows) * (w.k + 1) * static_cast<int64_t>(sizeof(float));
  return std::unique_ptr<DenseOperator>(std::move(op));
}

}  // namespace midge
