#include "engine/ops/ops.h"

#include <algorithm>

#include "engine/core/checked_math.h"
#include "engine/ops/kv_store.h"
#include "engine/ops/segments.h"
#include "kernels/call.h"

namespace midge {
namespace {

// A task should be worth about 1 us, ten times what claiming it costs: this many elements of an
// operation that only passes over them.
constexpr int64_t kElementsPerTask = 2048;

// Calls body(first, count) for consecutive pieces of 0..items-1, of `piece` items each but for the
// last, in parallel.
template <typename Body>
void for_pieces(const OpContext& context, int64_t items, int64_t piece, const Body& body) {
  context.worker->for_each(ceil_div(items, piece), [&](int64_t task) {
    const int64_t first = task * piece;
    body(first, std::min(piece, items - first));
  });
}

// Rows of `columns` elements that make a task.
int64_t rows_per_task(int64_t columns) { return ceil_div(kElementsPerTask, columns); }

// Rows that share blocks of keys go to one task, unless that leaves workers without any.
int64_t rows_per_rope_task(const OpContext& context, int64_t rows, int64_t columns) {
  return std::max(rows_per_task(columns),
                  std::min(kKeyBlock, ceil_div(rows, int64_t{context.worker->count()})));
}

// out[k] = row `token` of a packed table.
void look_up(const OpContext& context, const WeightTiles& table, int64_t token, float* out) {
  const LookupArgs args = {table.k, table.tile(token / kTileRows), token % kTileRows, out};
  call_kernel(context.kernels->lookup[static_cast<int>(table.encoding)], args);
}

}  // namespace

void embed(const OpContext& context, const PreparedMatrix& table, std::span<const int32_t> tokens,
           float* out) {
  const OpScope scope(context.log, OpKind::kEmbed, static_cast<int64_t>(tokens.size()), &table);
  const bool packed = table.form == PreparedMatrix::Form::kTiles;
  const int64_t k = table.k();
  const DequantizeFunction dequantize =
      context.kernels->dequantize[static_cast<int>(table.rows.encoding)];
  const auto m = static_cast<int64_t>(tokens.size());
  for_pieces(context, m, rows_per_task(k), [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      const int64_t token = tokens[static_cast<size_t>(i)];
      if (packed) {
        look_up(context, table.tiles, token, out + i * k);
        if (table.tail.k > 0) look_up(context, table.tail, token, out + i * k + table.tiles.k);
      } else {
        const DequantizeArgs args = {k, table.rows.row(token), out + i * k};
        call_kernel(dequantize, args);
      }
    }
  });
}

void rmsnorm(const OpContext& context, const float* x, int64_t x_stride, const float* weight,
             float epsilon, int64_t m, int64_t n, float* out, int64_t out_stride) {
  const OpScope scope(context.log, OpKind::kNorm, m);
  constexpr int64_t kFloatBytes = sizeof(float);
  for_pieces(context, m, rows_per_task(n), [&](int64_t first, int64_t count) {
    const RmsnormArgs args = {count,  n,       x + first * x_stride,     x_stride * kFloatBytes,
                              weight, epsilon, out + first * out_stride, out_stride * kFloatBytes};
    call_kernel(context.kernels->rmsnorm, args);
  });
}

void rope_and_store(const OpContext& context, const AttentionShape& shape,
                    std::span<const Segment> segments, int64_t layer, const RopeRows& rope,
                    float* q, float* k, float* v) {
  const OpScope scope(context.log, OpKind::kRope, logged_rows(context, segments), nullptr, layer);
  const int64_t d = shape.head_dim;
  const int64_t half = rope.width / 2;
  const auto head_bytes = d * static_cast<int64_t>(sizeof(float));
  const int64_t columns = (shape.heads + 2 * shape.kv_heads) * d;
  const auto run_row = [&](int64_t row) {
    const Segment& segment = segment_of(segments, row);
    const int64_t position = segment.position + row - segment.first_row;
    float* k_row = k + row * shape.kv_heads * d;
    float* v_row = v + row * shape.kv_heads * d;
    RopeArgs args = {shape.heads,
                     head_bytes,
                     rope.width,
                     rope.interleaved ? 2 : 1,
                     rope.interleaved ? 1 : half,
                     rope.cos + row * half,
                     rope.sin + row * half,
                     q + row * shape.heads * d};
    call_kernel(context.kernels->rope, args);
    args.heads = shape.kv_heads;
    args.x = k_row;
    call_kernel(context.kernels->rope, args);
    const KvLayout& kv = *segment.kv.layout;
    uint8_t* page = segment.kv.pages[position / kv.page_tokens];
    for (int64_t h = 0; h < shape.kv_heads; ++h) {
      store_key_value(context, kv, page, layer, h, position % kv.page_tokens, k_row + h * d,
                      v_row + h * d);
    }
    for (int64_t h = 0; h < shape.heads; ++h) prepare_query(kv, q + (row * shape.heads + h) * d);
  };
  const int64_t rows = count_rows(segments).all();
  for_pieces(context, rows, rows_per_rope_task(context, rows, columns),
             [&](int64_t first, int64_t count) {
               for (int64_t row = first; row < first + count; ++row) run_row(row);
             });
}

void add_to(const OpContext& context, float* x, const float* y, int64_t count) {
  const OpScope scope(context.log, OpKind::kElementwise, count);
  for_pieces(context, count, kElementsPerTask, [&](int64_t first, int64_t n) {
    const AddArgs args = {n, x + first, y + first, x + first};
    call_kernel(context.kernels->add, args);
  });
}

}  // namespace midge
