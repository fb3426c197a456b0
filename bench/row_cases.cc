// gemv, gemm, lookup, dequantize and quantize: weights read row by row or tile by tile.
#include <algorithm>
#include <cstring>
#include <memory>
#include <type_traits>

#include "bench/cases.h"

namespace midge::bench {
namespace {

// The scalar kernels, and every check, do at most about this many multiply-adds per call.
constexpr int64_t kGenericMacs = 4 << 20;

template <typename Args>
using Function = void (*)(const Args*);

template <typename Args>
Function<Args> function_of(const KernelInfo& kernel) {
  return reinterpret_cast<Function<Args>>(kernel.function);
}

// Operands of gemv (packed tiles) and gemm (rows as in files).
template <typename Args>
class Product {
 public:
  static constexpr bool kPacked = std::is_same_v<Args, GemvArgs>;

  // n_max: columns of a call at most.
  Product(Encoding encoding, int64_t m, int64_t n_max, int64_t k) {
    GemvLhs lhs = {random_floats(m * k, 1), {}};
    if constexpr (kPacked) {
      if (encoding != Encoding::kF16) lhs.blocks = quantized_rows(lhs.floats, m, k);
      args_ = gemv_operands(encoding, m, n_max, k, 0, lhs, nullptr, memory_);
    } else {
      args_ = gemm_operands(encoding, m, n_max, k, 0, lhs.floats.data(), nullptr, memory_);
    }
    dense_out(&args_, memory_);
  }

  const Status& status() const { return memory_.status(); }
  static int64_t part_rows() { return kPacked ? kTileRows : 1; }
  static int64_t part_bytes(Encoding encoding, int64_t k) {
    return kPacked ? packed_tile_bytes(encoding, k) : encoded_row_bytes(encoding, k);
  }

  void set_columns(int64_t n) {
    args_.n = n;
    args_.out_stride = n * 4;
  }

  void run(Function<Args> function, const uint8_t* weights) {
    args_.rhs = weights;
    function(&args_);
  }

  // [m, n] of the last run.
  std::vector<float> out() const {
    return std::vector<float>(args_.out, args_.out + args_.m * args_.n);
  }
  void clear() { std::fill_n(args_.out, args_.m * args_.n, 0.0f); }

 private:
  OperandMemory memory_;
  Args args_ = {};
};

template <typename Args>
Prepared prepare_product(const Machine& machine, const KernelInfo& kernel, const MatrixShape& shape,
                         int64_t m, Weights weights) {
  using P = Product<Args>;
  const int64_t part_macs = m * P::part_rows() * shape.k;
  const int64_t generic_groups = std::max<int64_t>(1, kGenericMacs / part_macs);
  const int64_t parts = shape.n / P::part_rows();
  const Walk walk = make_walk(machine, weights, parts, P::part_bytes(kernel.encoding, shape.k),
                              kernel.level == IsaLevel::kGeneric ? generic_groups : parts);
  auto product = std::make_shared<P>(kernel.encoding, m, walk.parts * P::part_rows(), shape.k);
  const auto function = function_of<Args>(kernel);
  const auto generic = function_of<Args>(generic_of(kernel));

  // The check, and the time of the specification, are of the first rows of the first piece.
  Prepared p;
  p.error = product->status().message();
  if (!p.error.empty()) return p;
  const int64_t checked = std::min(walk.parts, generic_groups);
  product->set_columns(checked * P::part_rows());
  product->run(generic, walk.piece(machine, 0));
  const std::vector<float> expected = product->out();
  product->clear();
  product->run(function, walk.piece(machine, 0));
  p.error = difference(kernel, product->out(), expected);
  if (!p.error.empty()) return p;
  const double seconds =
      best_seconds([&] { product->run(generic, walk.piece(machine, 0)); }, 2, 0.0);
  p.generic_seconds = seconds * static_cast<double>(walk.parts) / static_cast<double>(checked);

  product->set_columns(walk.parts * P::part_rows());
  p.call = [&machine, walk, product, function](int64_t call) {
    product->run(function, walk.piece(machine, call));
  };
  p.bytes = static_cast<double>(walk.piece_bytes);
  p.macs = static_cast<double>(part_macs * walk.parts);
  p.share = static_cast<double>(walk.parts) / static_cast<double>(parts);
  if (P::kPacked && kernel.encoding != Encoding::kF16) {
    p.peak = machine.integer_peak[static_cast<int>(kernel.level)];
  }
  return p;
}

template <typename Args>
void add_product_cases(const Machine& machine, const KernelInfo& kernel) {
  for (const ModelShape& model : kModels) {
    for (const MatrixShape& shape : matrices(model)) {
      for (const int64_t m : {1, 2, 4, 8}) {
        if (kernel.rows_max != 0 && m > kernel.rows_max) continue;
        for (const Weights weights : kWeights) {
          add_case(machine,
                   std::string(op_name(kernel.op)) + '/' + kernel.name + '/' + shape.name +
                       "/m:" + std::to_string(m) + '/' + weights_name(weights),
                   [&machine, &kernel, shape, m, weights] {
                     return prepare_product<Args>(machine, kernel, shape, m, weights);
                   });
        }
      }
    }
  }
}

// One row of weights to f32, from a tile (lookup) or from where it lies in a file (dequantize).
Prepared prepare_decode(const Machine& machine, const KernelInfo& kernel, int64_t k,
                        Weights weights) {
  const bool packed = kernel.op == Op::kLookup;
  const Encoding encoding = kernel.encoding;
  const Walk walk =
      make_walk(machine, weights, 1,
                packed ? packed_tile_bytes(encoding, k) : encoded_row_bytes(encoding, k), 1);
  auto out = std::make_shared<std::vector<float>>(k);
  const auto call = [&machine, walk, packed, k, out](const KernelInfo& info, int64_t i) {
    if (packed) {
      const LookupArgs args = {k, walk.piece(machine, i), i * 7 % kTileRows, out->data()};
      function_of<LookupArgs>(info)(&args);
    } else {
      const DequantizeArgs args = {k, walk.piece(machine, i), out->data()};
      function_of<DequantizeArgs>(info)(&args);
    }
  };
  Prepared p;
  for (int64_t i = 0; i < kTileRows && p.error.empty(); ++i) {
    call(generic_of(kernel), i);
    const std::vector<float> expected = *out;
    out->assign(expected.size(), 0.0f);
    call(kernel, i);
    p.error = difference(kernel, *out, expected);
  }
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel), 0); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t i) { call(kernel, i); };
  p.bytes = static_cast<double>(walk.piece_bytes / (packed ? kTileRows : 1));
  return p;
}

void add_decode_cases(const Machine& machine, const KernelInfo& kernel) {
  for (const ModelShape& model : kModels) {
    for (const Weights weights : kWeights) {
      const RowShape row = rows(model)[0];
      add_case(machine,
               std::string(op_name(kernel.op)) + '/' + kernel.name + '/' + row.name + '/' +
                   weights_name(weights),
               [&machine, &kernel, row, weights] {
                 return prepare_decode(machine, kernel, row.k, weights);
               });
    }
  }
}

std::string blocks_difference(const KernelInfo& kernel, const std::vector<LhsBlock>& found,
                              const std::vector<LhsBlock>& expected) {
  const bool same =
      std::memcmp(found.data(), expected.data(), expected.size() * sizeof(LhsBlock)) == 0;
  return same ? std::string() : std::string(kernel.name) + ": other blocks than expected";
}

Prepared prepare_quantize(const KernelInfo& kernel, int64_t k) {
  struct Operands {
    std::vector<float> in;
    std::vector<LhsBlock> out;
  };
  auto operands = std::make_shared<Operands>();
  operands->in = random_floats(k, 1);
  operands->out.resize(static_cast<size_t>(lhs_blocks(k)));
  const auto call = [operands, k](const KernelInfo& info) {
    const QuantizeArgs args = {k, operands->in.data(), operands->out.data()};
    function_of<QuantizeArgs>(info)(&args);
  };
  Prepared p;
  call(kernel);
  p.error = blocks_difference(kernel, operands->out, quantized_rows(operands->in, 1, k));
  p.generic_seconds = best_seconds([&] { call(generic_of(kernel)); }, 10, 1e-3);
  p.call = [call, &kernel](int64_t) { call(kernel); };
  p.bytes = static_cast<double>(k * 4 + lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock)));
  return p;
}

void add_quantize_cases(const Machine& machine, const KernelInfo& kernel) {
  for (const ModelShape& model : kModels) {
    for (const RowShape& row : rows(model)) {
      add_case(machine, std::string("quantize/") + kernel.name + '/' + row.name,
               [&kernel, row] { return prepare_quantize(kernel, row.k); });
    }
  }
}

}  // namespace

void add_row_cases(const Machine& machine, const KernelInfo& kernel) {
  if (kernel.op == Op::kGemv) return add_product_cases<GemvArgs>(machine, kernel);
  if (kernel.op == Op::kGemm) return add_product_cases<GemmArgs>(machine, kernel);
  if (kernel.op == Op::kQuantize) return add_quantize_cases(machine, kernel);
  add_decode_cases(machine, kernel);
}

}  // namespace midge::bench
