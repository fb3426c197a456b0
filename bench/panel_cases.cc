// The prefill arithmetic: its three steps alone, and together as the engine runs them.
#include <algorithm>
#include <memory>
#include <type_traits>

#include "bench/cases.h"
#include "engine/core/checked_math.h"

namespace midge::bench {
namespace {

// Rows of activations that the check and the scalar kernels take.
constexpr int64_t kCheckedRows = 24;

// `kernel` and the prefill kernels that go with it on a core that has what it needs.
KernelTable panel_kernels(const KernelInfo& kernel) {
  KernelTable table = make_kernel_table({kernel.features, kernel.name});
  // The kernel itself even if it is none of the registry's.
  const auto put = [&](auto& place) {
    place = reinterpret_cast<std::remove_reference_t<decltype(place)>>(kernel.function);
  };
  if (kernel.op == Op::kQuantizePanel) put(table.quantize_panel);
  if (kernel.op == Op::kUnpack) put(table.unpack[static_cast<int>(kernel.encoding)]);
  if (kernel.op == Op::kGemmPanel) put(table.gemm_panel);
  return table;
}

// m rows of activations and the accumulators of a tile, 64-byte aligned by AlignedBuffer.
class PanelRun {
 public:
  PanelRun(const KernelTable& kernels, Encoding encoding, int64_t m, int64_t k)
      : kernels_(kernels), encoding_(encoding), m_(m), k_(k), in_(random_floats(m * k, 1)) {
    rows_ = round_up(m, kernels.panel.tokens);
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
    kernels_.quantize_panel(&args);
  }

  void unpack(const uint8_t* tile, int64_t s) {
    const PackedInfo info = packed_info(encoding_);
    const UnpackArgs args = {std::min(kPanelColumns, k_ - s * kPanelColumns),
                             tile + s * (kPanelColumns / info.unit_elements * info.unit_bytes),
                             panel_, panel_scales_.data()};
    unpack_panel(kernels_, encoding_, args);
  }

  void multiply(int64_t s) {
    const int64_t at = s * rows_;
    const GemmPanelArgs args = {round_up(m_, kernels_.panel.step),
                                s == 0,
                                values_ + at * kPanelColumns,
                                scales_.data() + at,
                                sums_.data() + at,
                                panel_,
                                panel_scales_.data(),
                                acc_};
    kernels_.gemm_panel(&args);
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
  KernelTable kernels_;
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
  const KernelTable kernels = panel_kernels(kernel);
  const KernelTable generic = panel_kernels(generic_of(kernel));
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

// Prompt rows of a model with a few strong channels: the same columns in every row.
Prepared prepare_outliers(const Machine& machine, const KernelInfo& kernel, int64_t m) {
  constexpr int kCount = 4;
  struct Operands {
    std::vector<uint8_t> counts;
    std::vector<Outlier> items;
    std::vector<float> columns;
    std::vector<float> acc;
  };
  auto operands = std::make_shared<Operands>();
  operands->counts.assign(static_cast<size_t>(m), kCount);
  operands->items.resize(static_cast<size_t>(m * kOutliersMax));
  for (int64_t i = 0; i < m; ++i) {
    for (int32_t o = 0; o < kCount; ++o) {
      operands->items[static_cast<size_t>(i * kOutliersMax + o)] = {7 + 60 * o, 1.0f};
    }
  }
  operands->columns.resize(static_cast<size_t>(kPanelColumns * kTileRows));
  operands->acc.resize(static_cast<size_t>(m * kTileRows));
  const Walk walk =
      make_walk(machine, Weights::kWarm, 1, packed_tile_bytes(kernel.encoding, kPanelColumns), 1);
  const auto call = [&machine, walk, m, operands](const KernelInfo& info, int64_t i) {
    const AddOutliersArgs args = {m,
                                  walk.piece(machine, i),
                                  operands->counts.data(),
                                  operands->items.data(),
                                  operands->columns.data(),
                                  operands->acc.data()};
    reinterpret_cast<AddOutliersFunction>(info.function)(&args);
  };
  Prepared p;
  call(generic_of(kernel), 0);
  const std::vector<float> expected = operands->acc;
  std::fill(operands->acc.begin(), operands->acc.end(), 0.0f);
  call(kernel, 0);
  p.error = difference(kernel, operands->acc, expected);
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel), 0); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t i) { call(kernel, i); };
  p.macs = static_cast<double>(m * kCount * kTileRows);
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
  if (kernel.op == Op::kAddOutliers) {
    for (const int64_t m : {64, 512}) {
      add_case(machine, std::string("add_outliers/") + kernel.name + "/m:" + std::to_string(m),
               [&machine, &kernel, m] { return prepare_outliers(machine, kernel, m); });
    }
    return;
  }
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
