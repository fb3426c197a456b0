#include "engine/ops/ops.h"

#include <algorithm>

#include "engine/core/checked_math.h"

namespace midge {
namespace {

// A task should be worth about 1 us, ten times what claiming it costs: this many multiply-adds, or
// elements of an operation that only passes over them.
constexpr int64_t kMacsPerTask = 8192;
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

// The segment that row `row` of the batch belongs to; segments cover the batch in order.
const Segment& segment_of(std::span<const Segment> segments, int64_t row) {
  size_t i = 0;
  while (row >= segments[i].first_row + segments[i].rows) ++i;
  return segments[i];
}

int64_t row_count(std::span<const Segment> segments) {
  return segments.empty() ? 0 : segments.back().first_row + segments.back().rows;
}

}  // namespace

void embed(const OpContext& context, const WeightMatrix& table, std::span<const int32_t> tokens,
           float* out) {
  const ProfileScope scope(context.profile, OpKind::kEmbed);
  const DequantizeFunction dequantize =
      context.kernels->dequantize[static_cast<int>(table.encoding)];
  const LookupFunction lookup = context.kernels->lookup[static_cast<int>(table.packed_encoding)];
  const auto m = static_cast<int64_t>(tokens.size());
  for_pieces(context, m, rows_per_task(table.k), [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      const int64_t token = tokens[static_cast<size_t>(i)];
      if (table.packed != nullptr) {
        const LookupArgs args = {table.k, table.packed + token / kTileRows * table.tile_bytes(),
                                 token % kTileRows, out + i * table.k};
        lookup(&args);
      } else {
        const DequantizeArgs args = {table.k, table.rows(token, 1).data, out + i * table.k};
        dequantize(&args);
      }
    }
  });
}

void rmsnorm(const OpContext& context, const float* x, int64_t x_stride, const float* weight,
             float epsilon, int64_t m, int64_t n, float* out, int64_t out_stride) {
  const ProfileScope scope(context.profile, OpKind::kNorm);
  constexpr int64_t kFloatBytes = sizeof(float);
  for_pieces(context, m, rows_per_task(n), [&](int64_t first, int64_t count) {
    const RmsnormArgs args = {count,  n,       x + first * x_stride,     x_stride * kFloatBytes,
                              weight, epsilon, out + first * out_stride, out_stride * kFloatBytes};
    context.kernels->rmsnorm(&args);
  });
}

void rope_and_store(const OpContext& context, const AttentionShape& shape,
                    std::span<const Segment> segments, int64_t layer, const RopeRows& rope,
                    float* q, float* k, const float* v) {
  const ProfileScope scope(context.profile, OpKind::kRope);
  const int64_t d = shape.head_dim;
  const int64_t half = rope.width / 2;
  const auto head_bytes = d * static_cast<int64_t>(sizeof(float));
  const int64_t columns = (shape.heads + 2 * shape.kv_heads) * d;
  const auto run_row = [&](int64_t row) {
    const Segment& segment = segment_of(segments, row);
    const int64_t position = segment.position + row - segment.first_row;
    float* k_row = k + row * shape.kv_heads * d;
    const float* v_row = v + row * shape.kv_heads * d;
    RopeArgs args = {shape.heads,
                     head_bytes,
                     rope.width,
                     rope.interleaved ? 2 : 1,
                     rope.interleaved ? 1 : half,
                     rope.cos + row * half,
                     rope.sin + row * half,
                     q + row * shape.heads * d};
    context.kernels->rope(&args);
    args.heads = shape.kv_heads;
    args.x = k_row;
    context.kernels->rope(&args);
    const ConvertFunction convert = context.kernels->convert[static_cast<int>(segment.kv.type)];
    for (int64_t h = 0; h < shape.kv_heads; ++h) {
      const int64_t offset = layer * segment.kv.layer_stride + h * segment.kv.head_stride +
                             position * segment.kv.token_stride;
      const ConvertArgs k_args = {d, k_row + h * d, segment.kv.k + offset};
      const ConvertArgs v_args = {d, v_row + h * d, segment.kv.v + offset};
      convert(&k_args);
      convert(&v_args);
    }
  };
  for_pieces(context, row_count(segments), rows_per_task(columns),
             [&](int64_t first, int64_t count) {
               for (int64_t row = first; row < first + count; ++row) run_row(row);
             });
}

void attention(const OpContext& context, const AttentionShape& shape,
               std::span<const Segment> segments, int64_t layer, const float* q, float* scores,
               int64_t scores_stride, float* out) {
  const ProfileScope scope(context.profile, OpKind::kAttention);
  const int64_t d = shape.head_dim;
  const int64_t group = shape.heads / shape.kv_heads;
  // The scale is rounded once, as a constant of the model.
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(d));
  const int64_t items = row_count(segments) * shape.heads;
  int64_t macs = 0;
  for (const Segment& segment : segments) {
    macs += segment.rows * (segment.position + segment.rows) * shape.heads * d * 2;
  }
  const int64_t slots =
      std::min({items, int64_t{context.worker->count()}, ceil_div(macs, kMacsPerTask)});
  // One task per scratch slot. A slot takes every slots-th item, which spreads the short and the
  // long rows of a causal prompt evenly.
  context.worker->for_each(slots, [&](int64_t slot) {
    for (int64_t item = slot; item < items; item += slots) {
      const int64_t row = item / shape.heads;
      const int64_t head = item % shape.heads;
      const Segment& segment = segment_of(segments, row);
      const int64_t visible = segment.position + row - segment.first_row + 1;
      const int64_t length = shape.window > 0 && visible > shape.window ? shape.window : visible;
      const int64_t offset = layer * segment.kv.layer_stride +
                             head / group * segment.kv.head_stride +
                             (visible - length) * segment.kv.token_stride;
      const AttnArgs args = {length,
                             d,
                             q + item * d,
                             segment.kv.k + offset,
                             segment.kv.token_stride,
                             segment.kv.v + offset,
                             segment.kv.token_stride,
                             scale,
                             scores + slot * scores_stride,
                             out + item * d};
      context.kernels->attn[static_cast<int>(segment.kv.type)](&args);
    }
  });
}

void silu_mul(const OpContext& context, const float* gate, const float* up, int64_t count,
              float* out) {
  const ProfileScope scope(context.profile, OpKind::kElementwise);
  for_pieces(context, count, kElementsPerTask, [&](int64_t first, int64_t n) {
    const SiluMulArgs args = {n, gate + first, up + first, out + first};
    context.kernels->silu_mul(&args);
  });
}

void add_to(const OpContext& context, float* x, const float* y, int64_t count) {
  const ProfileScope scope(context.profile, OpKind::kElementwise);
  for_pieces(context, count, kElementsPerTask, [&](int64_t first, int64_t n) {
    const AddArgs args = {n, x + first, y + first, x + first};
    context.kernels->add(&args);
  });
}

}  // namespace midge
