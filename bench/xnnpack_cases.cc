// The baseline: XNNPACK's fully-connected operators for f32 and int8 (qs8) weights.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include <xnnpack.h>

#include "bench/cases.h"

namespace midge::bench {
namespace {

struct OperatorDeleter {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using Operator = std::unique_ptr<xnn_operator, OperatorDeleter>;

// Rows that every operator of a walk has at most: whole tiles of any of XNNPACK's kernels.
constexpr int64_t kRowsMax = 1024;

// Operators whose packed weights are walked through like Machine::weights; Number: float or int8_t.
template <typename Number>
class Baseline {
 public:
  static constexpr bool kIsFloat = std::is_same_v<Number, float>;

  // Operators of walk.parts rows each. False: XNNPACK refused one.
  bool create(int64_t count, int64_t n, int64_t k, int64_t m) {
    n_ = n;
    k_ = k;
    m_ = m;
    std::mt19937_64 random(7);
    weights_.resize(static_cast<size_t>(n * k));
    in_.resize(static_cast<size_t>(m * k) + 64);  // XNNPACK may read a vector past the end
    out_.resize(static_cast<size_t>(m * n) + 64);
    for (Number& w : weights_) w = number(random());
    for (Number& x : in_) x = number(random());
    for (int64_t i = 0; i < count; ++i) {
      xnn_operator_t op = nullptr;
      if (create_one(&op) != xnn_status_success) return false;
      operators_.push_back(Operator(op));
    }
    return true;
  }

  void run(int64_t call) {
    xnn_operator_t op = operators_[static_cast<size_t>(call) % operators_.size()].get();
    if constexpr (kIsFloat) {
      xnn_setup_fully_connected_nc_f32(op, static_cast<size_t>(m_), in_.data(), out_.data(),
                                       nullptr);
    } else {
      xnn_setup_fully_connected_nc_qs8(op, static_cast<size_t>(m_), in_.data(), out_.data(),
                                       nullptr);
    }
    xnn_run_operator(op, nullptr);
  }

  // Whether the first products are those of the definition, up to rounding.
  bool is_right() {
    run(0);
    for (int64_t column = 0; column < std::min<int64_t>(n_, 8); ++column) {
      double sum = 0;
      double magnitude = 0;
      for (int64_t i = 0; i < k_; ++i) {
        const double product = static_cast<double>(weights_[static_cast<size_t>(column * k_ + i)]) *
                               static_cast<double>(in_[static_cast<size_t>(i)]);
        sum += product;
        magnitude += std::fabs(product);
      }
      const double found = static_cast<double>(out_[static_cast<size_t>(column)]);
      const double expected =
          kIsFloat ? sum : std::clamp(sum / static_cast<double>(output_scale()), -128.0, 127.0);
      const double tolerance = kIsFloat ? magnitude * 1e-5 : 1.0;
      if (!(std::fabs(found - expected) <= tolerance)) return false;
    }
    return true;
  }

 private:
  static Number number(uint64_t bits) {
    if constexpr (kIsFloat) return static_cast<float>(static_cast<int32_t>(bits)) * 0x1p-31f;
    return static_cast<int8_t>(static_cast<int>(bits % 255) - 127);
  }

  // Sums of k products of numbers up to 127 spread by about sqrt(k) * 73^2.
  float output_scale() const { return std::sqrt(static_cast<float>(k_)) * 5400.0f / 40.0f; }

  xnn_status create_one(xnn_operator_t* op) const {
    const auto k = static_cast<size_t>(k_);
    const auto n = static_cast<size_t>(n_);
    if constexpr (kIsFloat) {
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      return xnn_create_fully_connected_nc_f32(k, n, k, n, weights_.data(), nullptr, -kInfinity,
                                               kInfinity, 0, op);
    } else {
      return xnn_create_fully_connected_nc_qs8(k, n, k, n, 0, 1.0f, 1.0f, weights_.data(), nullptr,
                                               0, output_scale(), -128, 127, 0, op);
    }
  }

  int64_t n_ = 0;
  int64_t k_ = 0;
  int64_t m_ = 0;
  std::vector<Number> weights_;
  std::vector<Number> in_;
  std::vector<Number> out_;
  std::vector<Operator> operators_;
};

template <typename Number>
Prepared prepare_baseline(const Machine& machine, const MatrixShape& shape, int64_t m,
                          Weights weights) {
  constexpr int64_t kTile = 32;
  const int64_t tile_bytes = kTile * shape.k * static_cast<int64_t>(sizeof(Number));
  const Walk walk = make_walk(machine, weights, shape.n / kTile, tile_bytes, kRowsMax / kTile);
  Prepared p;
  auto baseline = std::make_shared<Baseline<Number>>();
  if (xnn_initialize(nullptr) != xnn_status_success ||
      !baseline->create(walk.pieces, walk.parts * kTile, shape.k, m)) {
    p.error = "XNNPACK does not have this operator here";
    return p;
  }
  if (!baseline->is_right()) {
    p.error = "XNNPACK: products are not those of the definition";
    return p;
  }
  p.call = [baseline](int64_t call) { baseline->run(call); };
  p.bytes = static_cast<double>(walk.piece_bytes);
  p.macs = static_cast<double>(m * walk.parts * kTile * shape.k);
  p.share = static_cast<double>(walk.parts * kTile) / static_cast<double>(shape.n);
  if (!Baseline<Number>::kIsFloat) {
    p.peak = machine.integer_peak[static_cast<int>(top_level(machine.features))];
  }
  return p;
}

}  // namespace

void add_xnnpack_cases(const Machine& machine) {
  for (const ModelShape& model : kModels) {
    for (const MatrixShape& shape : matrices(model)) {
      for (const int64_t m : {1, 2, 4, 8, 64, 512}) {
        for (const Weights weights : kWeights) {
          const std::string ending =
              '/' + shape.name + "/m:" + std::to_string(m) + '/' + weights_name(weights);
          add_case(machine, "xnnpack_f32" + ending, [&machine, shape, m, weights] {
            return prepare_baseline<float>(machine, shape, m, weights);
          });
          add_case(machine, "xnnpack_qs8" + ending, [&machine, shape, m, weights] {
            return prepare_baseline<int8_t>(machine, shape, m, weights);
          });
        }
      }
    }
  }
}

}  // namespace midge::bench
