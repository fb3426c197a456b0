// The prefill arithmetic: its three steps alone, and together as the engine runs them.
#include <algorithm>
#include <memory>

#include "bench/cases.h"
#include "engine/core/checked_math.h"

namespace midge::bench {
namespace {

// Rows of activations that the check and the scalar kernels take.
constexpr int64_t kCheckedRows = 24;

// Prefill kernels that fit each other.
struct PanelKernels {
  PanelShape shape;
  QuantizePanelFunction quantize;
  UnpackFunction unpack;
  GemmPanelFunction gemm;
};

// `kernel` and those that go with it; steps without an encoding take q4b32.
PanelKernels panel_kernels(const KernelInfo& kernel) {
  const Encoding encoding = kernel.op == Op::kUnpack ? kernel.encoding : Encoding::kQ4B32;
  const KernelChoice choice = {kernel.features};
  const KernelInfo* gemm =
      kernel.op == Op::kGemmPanel
          ? &kernel
          : select_panel_kernel(Op::kGemmPanel, Encoding::kF32, kernel, choice);
  const auto function = [&](Op op, Encoding of) {
    const KernelInfo& info = kernel.op == op ? kernel : *select_panel_kernel(op, of, *gemm, choice);
    return info.function;
  };
  return {panel_shape(gemm->layout.lhs),
          reinterpret_cast<QuantizePanelFunction>(function(Op::kQuantizePanel, Encoding::kF32)),
          reinterpret_cast<UnpackFunction>(function(Op::kUnpack, encoding)),
          reinterpret_cast<GemmPanelFunction>(gemm->function)};
}

// m rows of activations and the accumulators of a tile, 64-byte aligned by AlignedBuffer.
class PanelRun {
 public:
  PanelRun(const PanelKernels& kernels, Encoding encoding, int64_t m, int64_t k)
      : kernels_(kernels), encoding_(encoding), m_(m), k_(k), in_(random_floats(m * k, 1)) {
    rows_ = round_up(m, kernels.shape.tokens);
    const int64_t blocks = super_blocks();
    scales_.resize(static_cast<size_t>(blocks * rows_));
    sums_.resize(scales_.size());
    panel_scales_.resize(kTileRows);
    Result<AlignedBuffer> memory = AlignedBuffer::create(
        blocks * rows_ * kPanelColumns + kPanelBytes + rows_ * kTileRows * 4, "panels");
    if (!memory.ok()) return;
    memory_ = std::move(memory.value());
    values_ = reinterpret_cast<int8_t*>(memory_.data());
    panel_ = values_ + blocks * rows_ * kPanelColumns;
    acc_ = reinterpret_cast<float*>(panel_ + kPanelBytes);
    quantize();
  }

  bool ok() const { return memory_.data() != nullptr; }
  int64_t super_blocks() const { return ceil_div(k_, kPanelColumns); }

  void quantize() {
    const QuantizePanelArgs args = {
        0, m_, k_, in_.data(), k_ * 4, {values_, scales_.data(), sums_.data(), rows_}};
    kernels_.quantize(&args);
  }

  void unpack(const uint8_t* tile, int64_t s) {
    const PackedInfo info = packed_info(encoding_);
    const UnpackArgs args = {std::min(kPanelColumns, k_ - s * kPanelColumns),
                             tile + s * (kPanelColumns / info.unit_elements * info.unit_bytes),
                             panel_, panel_scales_.data()};
    kernels_.unpack(&args);
  }

  void multiply(int64_t s) {
    const int64_t at = s * rows_;
    const GemmPanelArgs args = {round_up(m_, kernels_.shape.step),
                                s == 0,
                                values_ + at * kPanelColumns,
                                scales_.data() + at,
                                sums_.data() + at,
                                panel_,
                                panel_scales_.data(),
                                acc_};
    kernels_.gemm(&args);
  }

  // One tile as in engine/ops/linear.cc.
  void tile(const uint8_t* tile) {
    for (int64_t s = 0; s < super_blocks(); ++s) {
      unpack(tile, s);
      multiply(s);
    }
  }

  // [m, 32]
  std::vector<float> sums() const { return std::vector<float>(acc_, acc_ + m_ * kTileRows); }

 private:
  PanelKernels kernels_;
  Encoding encoding_;
  int64_t m_;
  int64_t k_;
  int64_t rows_ = 0;
  std::vector<float> in_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;
  std::vector<float> panel_scales_;
  AlignedBuffer memory_;
  int8_t* values_ = nullptr;
  int8_t* panel_ = nullptr;
  float* acc_ = nullptr;
};

enum class Step { kQuantize, kUnpack, kMultiply, kAll };

// What a call does with the tiles of a piece.
void run_step(Step step, PanelRun& run, const uint8_t* piece, int64_t tiles, int64_t tile_bytes) {
  if (step == Step::kQuantize) return run.quantize();
  for (int64_t t = 0; t < tiles; ++t) {
    const uint8_t* tile = piece + t * tile_bytes;
    if (step == Step::kAll) {
      run.tile(tile);
      continue;
    }
    for (int64_t s = 0; s < run.super_blocks(); ++s) {
      if (step == Step::kUnpack) run.unpack(tile, s);
      if (step == Step::kMultiply) run.multiply(s);
    }
  }
}

Prepared prepare_panels(const Machine& machine, const KernelInfo& kernel, Step step,
                        const MatrixShape& shape, int64_t m, Weights weights) {
  Prepared p;
  const Encoding encoding = kernel.op == Op::kUnpack ? kernel.encoding : Encoding::kQ4B32;
  const PanelKernels kernels = panel_kernels(kernel);
  const PanelKernels generic = panel_kernels(generic_of(kernel));
  const bool is_generic = kernel.level == IsaLevel::kGeneric;
  const int64_t rows = is_generic ? std::min(m, kCheckedRows) : m;
  const int64_t tile_bytes = packed_tile_bytes(encoding, shape.k);
  const int64_t tiles = shape.n / kTileRows;
  // A call of a step on activations alone, or on many rows, is long enough with few tiles.
  constexpr int64_t kTilesMax = 64;
  const int64_t tiles_max = step == Step::kMultiply || is_generic ? 1
                            : step == Step::kAll                  ? 4
                                                                  : kTilesMax;
  const Walk walk = make_walk(machine, weights, tiles, tile_bytes, tiles_max);

  // The whole arithmetic of both levels on a tile: no step is right unless the sums are.
  const int64_t few = std::min(m, kCheckedRows);
  PanelRun expected(generic, encoding, few, shape.k);
  PanelRun found(kernels, encoding, few, shape.k);
  auto run = std::make_shared<PanelRun>(kernels, encoding, rows, shape.k);
  if (!expected.ok() || !found.ok() || !run->ok()) {
    p.error = "out of memory";
    return p;
  }
  expected.tile(walk.piece(machine, 0));
  found.tile(walk.piece(machine, 0));
  p.error = difference(kernel, found.sums(), expected.sums());
  if (!p.error.empty()) return p;

  const double generic_seconds = best_seconds(
      [&] { run_step(step, expected, walk.piece(machine, 0), 1, tile_bytes); }, 1, 0.0);
  const double rows_ratio =
      step == Step::kUnpack ? 1.0 : static_cast<double>(rows) / static_cast<double>(few);
  const double tiles_ratio = step == Step::kQuantize ? 1.0 : static_cast<double>(walk.groups);
  p.generic_seconds = generic_seconds * rows_ratio * tiles_ratio;

  run->tile(walk.piece(machine, 0));  // a panel for the steps that do not make one
  p.call = [&machine, walk, run, step, tile_bytes](int64_t call) {
    run_step(step, *run, walk.piece(machine, call), walk.groups, tile_bytes);
  };
  const double macs = static_cast<double>(rows * kTileRows * shape.k * walk.groups);
  p.share = static_cast<double>(walk.groups) / static_cast<double>(tiles);
  if (step == Step::kQuantize) {
    p.bytes = static_cast<double>(rows * shape.k * 5);
    p.share = 1;
  } else if (step == Step::kMultiply || step == Step::kAll) {
    p.macs = macs;
    p.peak = machine.integer_peak[static_cast<int>(kernel.level)];
  }
  if (step == Step::kUnpack || step == Step::kAll) p.bytes = static_cast<double>(walk.piece_bytes);
  if (step != Step::kUnpack) p.share *= static_cast<double>(rows) / static_cast<double>(m);
  return p;
}

void add_panel_case(const Machine& machine, const KernelInfo& kernel, Step step,
                    const MatrixShape& shape, int64_t m, Weights weights, const std::string& name) {
  add_case(machine, name, [&machine, &kernel, step, shape, m, weights] {
    return prepare_panels(machine, kernel, step, shape, m, weights);
  });
}

}  // namespace

void add_panel_cases(const Machine& machine, const KernelInfo& kernel) {
  for (const ModelShape& model : kModels) {
    for (const int64_t m : {64, 512}) {
      const std::string rows_name = "/m:" + std::to_string(m);
      if (kernel.op == Op::kQuantizePanel) {
        for (const RowShape& row : rows(model)) {
          add_panel_case(machine, kernel, Step::kQuantize, {row.name, kTileRows, row.k}, m,
                         Weights::kWarm,
                         std::string("quantize_panel/") + kernel.name + '/' + row.name + rows_name);
        }
        continue;
      }
      for (const MatrixShape& shape : matrices(model)) {
        const std::string name = std::string(kernel.name) + '/' + shape.name;
        if (kernel.op == Op::kGemmPanel) {
          add_panel_case(machine, kernel, Step::kMultiply, shape, m, Weights::kWarm,
                         "gemm_panel/" + name + rows_name);
          continue;
        }
        for (const Weights weights : kWeights) {
          const std::string ending = std::string("/") + weights_name(weights);
          if (m == 64) {
            add_panel_case(machine, kernel, Step::kUnpack, shape, 1, weights,
                           "unpack/" + name + ending);
          }
          add_panel_case(machine, kernel, Step::kAll, shape, m, weights,
                         "prefill/" + name + rows_name + ending);
        }
      }
    }
  }
}

}  // namespace midge::bench
