// Operands of kernels: which arrays a call reads and writes, how long and how far apart they are.
// The one place that knows; kernel tests, counted cases, benchmarks and calibration call kernels
// with them.
//
// Builders take a Place, which puts arrays into memory:
//   input(name, extent, dense)    an array with the rows `dense`; null: whatever there is
//   output<T>(name, extent, type) one that the kernel writes
//   in_out(name, extent, dense, type)  one that it reads and writes
//   scratch<T>(name, extent)      one that it may use as it likes
// OperandMemory is one; the harness of the tests has another, with guard pages and canaries.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/core/aligned_buffer.h"
#include "engine/core/checked_math.h"
#include "kernels/kernels.h"

namespace midge {

/// Rows of bytes. The last row has no padding behind it.
struct Extent {
  int64_t rows = 1;
  int64_t row_bytes = 0;
  int64_t stride = 0;  ///< bytes from row to row
  int64_t alignment = 4;

  int64_t bytes() const { return (rows - 1) * stride + row_bytes; }
};

/// One row.
inline Extent extent(int64_t row_bytes, int64_t alignment = 4) {
  return {1, row_bytes, row_bytes, alignment};
}

/// What an output consists of.
enum class OperandType { kBytes, kF32, kF16, kLhsBlocks };

/// Owns operands, each on cache lines of its own; what is given no rows is zero.
class OperandMemory {
 public:
  template <typename T>
  const T* input(const char*, const Extent& extent, const T* dense) {
    return static_cast<const T*>(place(extent, dense));
  }
  template <typename T>
  T* output(const char*, const Extent& extent, OperandType) {
    return static_cast<T*>(place(extent, nullptr));
  }
  template <typename T>
  T* in_out(const char*, const Extent& extent, const T* dense, OperandType) {
    return static_cast<T*>(place(extent, dense));
  }
  template <typename T>
  T* scratch(const char*, const Extent& extent) {
    return static_cast<T*>(place(extent, nullptr));
  }

  /// Whether there was memory for all of them: out_of_memory. Else some are null.
  const Status& status() const { return status_; }

 private:
  void* place(const Extent& extent, const void* dense);

  std::vector<AlignedBuffer> buffers_;
  Status status_;
};

/// Bytes that are valid weights of every encoding in packed form: no f16 among them is an infinity
/// or a NaN. Errors: out_of_memory.
Result<AlignedBuffer> random_weights(int64_t bytes);

/// Activations in -1..1.
std::vector<float> random_floats(int64_t count, uint64_t seed);

/// [m] rows of k activations for the decode kernels, by the scalar quantize.
std::vector<LhsBlock> quantized_rows(const std::vector<float>& in, int64_t m, int64_t k);

/// Activations of gemv for weights of an encoding: [m] rows of floats for f16, else of blocks. One
/// of the two is empty.
struct GemvLhs {
  std::vector<float> floats;
  std::vector<LhsBlock> blocks;
};

/// lhs and, if it is not null, the packed weights [n, k]. padding: floats between rows.
template <typename Place>
GemvArgs gemv_operands(Encoding encoding, int64_t m, int64_t n, int64_t k, int64_t padding,
                       const GemvLhs& lhs, const uint8_t* packed, Place& place) {
  GemvArgs args = {};
  args.m = m;
  args.n = n;
  args.k = k;
  if (encoding == Encoding::kF16) {
    args.lhs_stride = (k + padding) * 4;
    args.lhs = place.input("lhs", {m, k * 4, args.lhs_stride}, lhs.floats.data());
  } else {
    const int64_t row_bytes = lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock));
    args.lhs_stride = row_bytes + padding * 4;
    args.lhs = place.input("lhs", {m, row_bytes, args.lhs_stride}, lhs.blocks.data());
  }
  if (packed != nullptr) {
    const int64_t tiles = (n + kTileRows - 1) / kTileRows;
    args.rhs = place.input("rhs", extent(tiles * packed_tile_bytes(encoding, k), 64), packed);
  }
  return args;
}

/// lhs [m, k] and, if it is not null, the rows of weights [n, k] as in files.
template <typename Place>
GemmArgs gemm_operands(Encoding encoding, int64_t m, int64_t n, int64_t k, int64_t padding,
                       const float* lhs, const uint8_t* rows, Place& place) {
  GemmArgs args = {};
  args.m = m;
  args.n = n;
  args.k = k;
  args.lhs_stride = (k + padding) * 4;
  args.lhs = place.input("lhs", {m, k * 4, args.lhs_stride}, lhs);
  const int64_t row_bytes = encoded_row_bytes(encoding, k);
  args.rhs_stride = row_bytes + padding * 2;  // rows of files are aligned to 2 bytes
  if (rows != nullptr) args.rhs = place.input("rhs", {n, row_bytes, args.rhs_stride, 2}, rows);
  return args;
}

/// out [m, n] of gemv or gemm, without padding, and no addend.
template <typename Args, typename Place>
void dense_out(Args* args, Place& place) {
  args->out_stride = args->n * 4;
  args->out = place.template output<float>("out", {args->m, args->n * 4, args->out_stride},
                                           OperandType::kF32);
}

template <typename Place>
QuantizeArgs quantize_operands(int64_t k, const float* in, Place& place) {
  const int64_t bytes = lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock));
  QuantizeArgs args = {};
  args.k = k;
  args.in = place.input("in", extent(k * 4), in);
  args.out = place.template output<LhsBlock>("out", extent(bytes), OperandType::kLhsBlocks);
  return args;
}

/// tile: packed units of 32 rows.
template <typename Place>
LookupArgs lookup_operands(Encoding encoding, int64_t k, int64_t row, const uint8_t* tile,
                           Place& place) {
  LookupArgs args = {};
  args.k = k;
  args.tile = place.input("tile", extent(packed_tile_bytes(encoding, k), 64), tile);
  args.row = row;
  args.out = place.template output<float>("out", extent(k * 4), OperandType::kF32);
  return args;
}

template <typename Place>
DequantizeArgs dequantize_operands(Encoding encoding, int64_t k, const uint8_t* row, Place& place) {
  DequantizeArgs args = {};
  args.k = k;
  args.row = place.input("row", extent(encoded_row_bytes(encoding, k), 2), row);
  args.out = place.template output<float>("out", extent(k * 4), OperandType::kF32);
  return args;
}

/// Rows first..first + m - 1 of a PanelLhs of `rows`, whose other rows are `before` in every byte.
template <typename Place>
QuantizePanelArgs quantize_panel_operands(int64_t first, int64_t m, int64_t k, int64_t padding,
                                          int64_t rows, const float* in, uint8_t before,
                                          Place& place) {
  const int64_t blocks = (k + kPanelColumns - 1) / kPanelColumns;
  const std::vector<int8_t> values(static_cast<size_t>(blocks * rows * kPanelColumns),
                                   static_cast<int8_t>(before));
  QuantizePanelArgs args = {};
  args.first = first;
  args.m = m;
  args.k = k;
  args.in_stride = (k + padding) * 4;
  args.in = place.input("in", {m, k * 4, args.in_stride}, in);
  args.out.values = place.in_out("values", extent(blocks * rows * kPanelColumns, 64), values.data(),
                                 OperandType::kBytes);
  args.out.scales = place.in_out("scales", extent(blocks * rows * 4),
                                 reinterpret_cast<const float*>(values.data()), OperandType::kF32);
  args.out.sums =
      place.in_out("sums", extent(blocks * rows * 4),
                   reinterpret_cast<const int32_t*>(values.data()), OperandType::kBytes);
  args.out.rows = rows;
  return args;
}

/// units: packed units of k <= 256 columns.
template <typename Place>
UnpackArgs unpack_operands(Encoding encoding, int64_t k, const uint8_t* units, Place& place) {
  UnpackArgs args = {};
  args.k = k;
  args.rhs = place.input("rhs", extent(packed_tile_bytes(encoding, k), 64), units);
  args.panel = place.template output<int8_t>("panel", extent(kPanelBytes, 64), OperandType::kBytes);
  args.scales = place.template output<float>("scales", extent(kTileRows * 4), OperandType::kF32);
  return args;
}

/// What gemm_panel multiplies; null: zeros. acc: what it adds to, unless it is the first.
struct PanelProduct {
  int64_t m = 0;
  bool first = false;
  const int8_t* lhs = nullptr;  // [m, 256] in the kernel's order
  int64_t lhs_rows = 0;         // of lhs, m or up to the next multiple of the order's tokens
  const float* lhs_scales = nullptr;
  const int32_t* lhs_sums = nullptr;
  const int8_t* panel = nullptr;
  const float* panel_scales = nullptr;
  const float* acc = nullptr;
};

template <typename Place>
GemmPanelArgs gemm_panel_operands(const PanelProduct& product, Place& place) {
  GemmPanelArgs args = {};
  args.m = product.m;
  args.first = product.first;
  args.lhs = place.input("lhs", extent(product.lhs_rows * kPanelColumns, 1), product.lhs);
  args.lhs_scales = place.input("lhs_scales", extent(product.m * 4), product.lhs_scales);
  args.lhs_sums = place.input("lhs_sums", extent(product.m * 4), product.lhs_sums);
  args.panel = place.input("panel", extent(kPanelBytes, 64), product.panel);
  args.panel_scales = place.input("panel_scales", extent(kTileRows * 4), product.panel_scales);
  const Extent acc = extent(product.m * kTileRows * 4, 64);
  args.acc = product.first ? place.template output<float>("acc", acc, OperandType::kF32)
                           : place.in_out("acc", acc, product.acc, OperandType::kF32);
  return args;
}

/// x [k].
template <typename Place>
TakeOutliersArgs take_outliers_operands(int64_t k, const float* x, Place& place) {
  const std::vector<Outlier> items(kOutliersMax);
  TakeOutliersArgs args = {};
  args.k = k;
  args.x = place.in_out("x", extent(k * 4), x, OperandType::kF32);
  args.count = place.template output<uint8_t>("count", extent(1, 1), OperandType::kBytes);
  args.items = place.in_out("items", extent(kOutliersMax * static_cast<int64_t>(sizeof(Outlier))),
                            items.data(), OperandType::kBytes);
  return args;
}

/// units: a super-block's, of k columns. counts [m], items [m, kOutliersMax], acc [m, 32].
template <typename Place>
AddOutliersArgs add_outliers_operands(Encoding encoding, int64_t m, int64_t k, const uint8_t* units,
                                      const uint8_t* counts, const Outlier* items, const float* acc,
                                      Place& place) {
  AddOutliersArgs args = {};
  args.m = m;
  args.rhs = place.input("rhs", extent(packed_tile_bytes(encoding, k), 64), units);
  args.counts = place.input("counts", extent(m, 1), counts);
  args.items =
      place.input("items", extent(m * kOutliersMax * static_cast<int64_t>(sizeof(Outlier))), items);
  args.columns =
      place.template scratch<float>("columns", extent(kPanelColumns * kTileRows * 4, 64));
  args.acc = place.in_out("acc", extent(m * kTileRows * 4, 64), acc, OperandType::kF32);
  return args;
}

/// Keys that a query sees.
struct SeenKeys {
  int64_t begin;
  int64_t end;
};

/// Queries of an attention call and the cache of a KV head. q [queries, head_dim]; k [whole blocks
/// of keys], v [keys]: rows as encoded.
struct AttnShape {
  Encoding encoding;  ///< of the cache
  int64_t head_dim;
  int64_t keys;
  float scale;
  int64_t padding = 0;        ///< units between rows of each operand
  int64_t page_tokens = 0;    ///< a multiple of kAttnStep; 0: one page holds all
  bool values_first = false;  ///< in a page; else keys are
  int64_t first_key = 0;      ///< that is seen: pages before its own are null
};

/// The page of args with the tokens from `begin` on. It ends with the last of them, so that guards
/// behind it catch what is read beyond; gaps between rows are NaN.
std::vector<uint8_t> attn_page(const AttnShape& shape, const AttnArgs& args, int64_t begin,
                               const uint8_t* k, const uint8_t* v);

/// Numbers of a quantised cache and its queries, as the kernels of Op::kAttnQ8 and kAttnK8V4 read
/// them.
struct QuantizedAttn {
  int64_t key_block_bytes = 0;
  int64_t value_row_bytes = 0;
  int64_t query_bytes = 0;
  bool by_pairs = false;            ///< of tokens, values are
  std::vector<uint8_t> queries;     ///< [count] QuantizedQuery with values
  std::vector<uint8_t> keys;        ///< [blocks]
  std::vector<uint8_t> values;      ///< [keys] rows
  std::vector<float> key_scales;    ///< [keys, rounded up to whole blocks]
  std::vector<float> value_scales;  ///< [blocks of values][the same]
};

/// Random bytes; scales of one: those that scale(i) gives.
QuantizedAttn random_quantized_attn(Op op, int64_t head_dim, int64_t keys, int64_t count,
                                    uint64_t seed, const std::function<float(int64_t)>& scale);

/// As attn_page; what lies last in a page is the values, or with values_first the scales.
std::vector<uint8_t> quantized_attn_page(const AttnShape& shape, const AttnArgs& args,
                                         int64_t begin, const QuantizedAttn& cache);

/// As attn_operands, for a quantised cache.
template <typename Place>
AttnArgs quantized_attn_operands(const AttnShape& shape, std::span<const SeenKeys> seen,
                                 const QuantizedAttn& cache, Place& place) {
  const int64_t d = shape.head_dim;
  const auto count = static_cast<int64_t>(seen.size());
  AttnArgs args = {};
  args.count = count;
  args.head_dim = d;
  args.page_tokens = shape.page_tokens > 0 ? shape.page_tokens : round_up(shape.keys, kAttnStep);
  args.page_count = ceil_div(shape.keys, args.page_tokens);
  args.k_stride = cache.key_block_bytes + 32 * shape.padding;
  args.v_stride = cache.value_row_bytes + 2 * shape.padding;
  args.v_scales_stride = (args.page_tokens + shape.padding) * 4;
  const int64_t keys_bytes = args.page_tokens / kKeyBlock * args.k_stride;
  const int64_t values_bytes = round_up(args.page_tokens * args.v_stride, 64);
  const int64_t scales_bytes = round_up(args.page_tokens * 4, 64);
  if (shape.values_first) {
    args.k_offset = values_bytes;
    args.k_scales_offset = args.k_offset + keys_bytes;
    args.v_scales_offset = args.k_scales_offset + scales_bytes;
  } else {
    args.k_scales_offset = keys_bytes;
    args.v_scales_offset = args.k_scales_offset + scales_bytes;
    args.v_offset =
        args.v_scales_offset + round_up(args.v_scales_stride * ceil_div(d, kValueBlock), 64);
  }
  std::vector<const uint8_t*> pages;
  for (int64_t begin = 0; begin < shape.keys; begin += args.page_tokens) {
    if (begin + args.page_tokens <= shape.first_key) {
      pages.push_back(nullptr);
      continue;
    }
    const std::vector<uint8_t> page = quantized_attn_page(shape, args, begin, cache);
    pages.push_back(
        place.input("page", extent(static_cast<int64_t>(page.size()), 64), page.data()));
  }
  args.pages = place.input("pages", extent(8 * args.page_count, 8), pages.data());
  args.scale = shape.scale;
  const int64_t row = d + shape.padding;
  const int64_t q_stride = cache.query_bytes + 4 * shape.padding;
  const uint8_t* q =
      place.input("q", Extent{count, cache.query_bytes, q_stride}, cache.queries.data());
  float* out =
      place.template output<float>("out", Extent{count, d * 4, row * 4}, OperandType::kF32);
  std::vector<AttnQuery> queries;
  for (int64_t i = 0; i < count; ++i) {
    const SeenKeys keys = seen[static_cast<size_t>(i)];
    queries.push_back(
        {reinterpret_cast<const float*>(q + i * q_stride), keys.begin, keys.end, out + i * row});
  }
  args.queries = place.input("queries", extent(static_cast<int64_t>(sizeof(AttnQuery)) * count, 8),
                             queries.data());
  args.maximums = place.template output<float>("maximums", extent(count * 4), OperandType::kF32);
  args.totals = place.template output<float>("totals", extent(count * 4), OperandType::kF32);
  return args;
}

template <typename Place>
AttnArgs attn_operands(const AttnShape& shape, std::span<const SeenKeys> seen, const float* q,
                       const uint8_t* k, const uint8_t* v, Place& place) {
  const int64_t size = encoding_info(shape.encoding).block_bytes;
  const int64_t d = shape.head_dim;
  const auto count = static_cast<int64_t>(seen.size());
  AttnArgs args = {};
  args.count = count;
  args.head_dim = d;
  args.page_tokens = shape.page_tokens > 0 ? shape.page_tokens : round_up(shape.keys, kAttnStep);
  args.page_count = ceil_div(shape.keys, args.page_tokens);
  args.k_stride = d * kKeyBlock * size + 32 * shape.padding;
  args.v_stride = (d + 2 * shape.padding) * size;
  if (shape.values_first) {
    args.k_offset = round_up(args.page_tokens * args.v_stride, 32);
  } else {
    args.v_offset = args.page_tokens / kKeyBlock * args.k_stride;
  }
  std::vector<const uint8_t*> pages;
  for (int64_t begin = 0; begin < shape.keys; begin += args.page_tokens) {
    if (begin + args.page_tokens <= shape.first_key) {
      pages.push_back(nullptr);
      continue;
    }
    const std::vector<uint8_t> page = attn_page(shape, args, begin, k, v);
    pages.push_back(
        place.input("page", extent(static_cast<int64_t>(page.size()), 32), page.data()));
  }
  args.pages = place.input("pages", extent(8 * args.page_count, 8), pages.data());
  args.scale = shape.scale;
  const int64_t row = d + shape.padding;
  const Extent rows = {count, d * 4, row * 4};
  const float* q_rows = place.input("q", rows, q);
  float* out = place.template output<float>("out", rows, OperandType::kF32);
  std::vector<AttnQuery> queries;
  for (int64_t i = 0; i < count; ++i) {
    const SeenKeys keys = seen[static_cast<size_t>(i)];
    queries.push_back({q_rows + i * row, keys.begin, keys.end, out + i * row});
  }
  args.queries = place.input("queries", extent(static_cast<int64_t>(sizeof(AttnQuery)) * count, 8),
                             queries.data());
  args.maximums = place.template output<float>("maximums", extent(count * 4), OperandType::kF32);
  args.totals = place.template output<float>("totals", extent(count * 4), OperandType::kF32);
  return args;
}

}  // namespace midge
