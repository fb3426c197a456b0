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

// m rows of activations and the accumulators of a tile.
class PanelRun {
 public:
  PanelRun(const KernelTable& kernels, Encoding encoding, int64_t m, int64_t k)
      : kernels_(kernels), encoding_(encoding), m_(m), k_(k) {
    const int64_t rows = round_up(m, kernels.panel.tokens);
    quantize_ =
        quantize_panel_operands(0, m, k, 0, rows, random_floats(m * k, 1).data(), 0, memory_);
    unpack_.panel = memory_.output<int8_t>("panel", extent(kPanelBytes, 64), OperandType::kBytes);
    unpack_.scales = memory_.output<float>("scales", extent(kTileRows * 4), OperandType::kF32);
    multiply_.m = round_up(m, kernels.panel.step);
    multiply_.panel = unpack_.panel;
    multiply_.panel_scales = unpack_.scales;
    multiply_.acc =
        memory_.output<float>("acc", extent(rows * kTileRows * 4, 64), OperandType::kF32);
    if (ok()) quantize();
  }

  bool ok() const { return memory_.status().ok(); }
  int64_t super_blocks() const { return ceil_div(k_, kPanelColumns); }

  void quantize() { kernels_.quantize_panel(&quantize_); }

  void unpack(const uint8_t* tile, int64_t s) {
    unpack_.k = std::min(kPanelColumns, k_ - s * kPanelColumns);
    unpack_.rhs = tile + packed_tile_bytes(encoding_, s * kPanelColumns);
    unpack_panel(kernels_, encoding_, unpack_);
  }

  void multiply(int64_t s) {
    const PanelLhs& lhs = quantize_.out;
    multiply_.first = s == 0;
    multiply_.lhs = lhs.values + s * lhs.rows * kPanelColumns;
    multiply_.lhs_scales = lhs.scales + s * lhs.rows;
    multiply_.lhs_sums = lhs.sums + s * lhs.rows;
    kernels_.gemm_panel(&multiply_);
  }

  // One tile as in engine/ops/linear.cc.
  void tile(const uint8_t* tile) {
    for (int64_t s = 0; s < super_blocks(); ++s) {
      unpack(tile, s);
      multiply(s);
    }
  }

  // [m, 32]
  std::vector<float> sums() const {
    return std::vector<float>(multiply_.acc, multiply_.acc + m_ * kTileRows);
  }

 private:
  KernelTable kernels_;
  Encoding encoding_;
  int64_t m_;
  int64_t k_;
  OperandMemory memory_;
  QuantizePanelArgs quantize_ = {};
  UnpackArgs unpack_ = {};
  GemmPanelArgs multiply_ = {};
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
  const double tiles_ratio = step == Step::kQuantize ? 1.0 : static_cast<double>(walk.parts);
  p.generic_seconds = generic_seconds * rows_ratio * tiles_ratio;

  run->tile(walk.piece(machine, 0));  // a panel for the steps that do not make one
  p.call = [&machine, walk, run, step, tile_bytes](int64_t call) {
    run_step(step, *run, walk.piece(machine, call), walk.parts, tile_bytes);
  };
  const double macs = static_cast<double>(rows * kTileRows * shape.k * walk.parts);
  p.share = static_cast<double>(walk.parts) / static_cast<double>(tiles);
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

// A super-block without outliers, as most are.
Prepared prepare_take_outliers(const KernelInfo& kernel) {
  struct Operands {
    OperandMemory memory;
    TakeOutliersArgs args;
  };
  auto operands = std::make_shared<Operands>();
  operands->args = take_outliers_operands(kPanelColumns, random_floats(kPanelColumns, 1).data(),
                                          operands->memory);
  Prepared p;
  p.error = operands->memory.status().message();
  if (!p.error.empty()) return p;
  const auto call = [operands](const KernelInfo& info) {
    reinterpret_cast<TakeOutliersFunction>(info.function)(&operands->args);
    return *operands->args.count;
  };
  if (call(kernel) != call(generic_of(kernel))) {
    p.error = std::string(kernel.name) + ": other outliers than expected";
  }
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel)); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t) { call(kernel); };
  p.bytes = static_cast<double>(kPanelColumns * 4);
  return p;
}

// Prompt rows of a model with a few strong channels: the same columns in every row.
Prepared prepare_outliers(const Machine& machine, const KernelInfo& kernel, int64_t m) {
  constexpr int kCount = 4;
  struct Operands {
    OperandMemory memory;
    AddOutliersArgs args;
  };
  const std::vector<uint8_t> counts(static_cast<size_t>(m), kCount);
  std::vector<Outlier> items(static_cast<size_t>(m * kOutliersMax));
  for (int64_t i = 0; i < m; ++i) {
    for (int32_t o = 0; o < kCount; ++o) {
      items[static_cast<size_t>(i * kOutliersMax + o)] = {7 + 60 * o, 1.0f};
    }
  }
  const std::vector<float> acc(static_cast<size_t>(m * kTileRows));
  auto operands = std::make_shared<Operands>();
  operands->args = add_outliers_operands(kernel.encoding, m, kPanelColumns, machine.weights.data(),
                                         counts.data(), items.data(), acc.data(), operands->memory);
  const auto call = [operands](const KernelInfo& info) {
    reinterpret_cast<AddOutliersFunction>(info.function)(&operands->args);
  };
  Prepared p;
  p.error = operands->memory.status().message();
  if (!p.error.empty()) return p;
  float* sums = operands->args.acc;
  call(generic_of(kernel));
  const std::vector<float> expected(sums, sums + acc.size());
  std::copy(acc.begin(), acc.end(), sums);
  call(kernel);
  p.error = difference(kernel, std::vector<float>(sums, sums + acc.size()), expected);
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel)); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t) { call(kernel); };
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
  if (kernel.op == Op::kTakeOutliers) {
    add_case(machine, std::string("take_outliers/") + kernel.name,
             [&kernel] { return prepare_take_outliers(kernel); });
    return;
  }
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
