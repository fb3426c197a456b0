// Attention over the cached tokens: sets of queries that share a KV head, splits of the keys.
//
// The keys of a query are cut at multiples of kSplit. Each split is a part by itself (a maximum, a
// total, a weighted sum of values), and the parts are joined in order: so a long context can be
// spread over the workers, and the result is the same whether it is or not.
#include <algorithm>

#include "engine/core/arena.h"
#include "engine/core/checked_math.h"
#include "engine/ops/hadamard.h"
#include "engine/ops/ops.h"
#include "engine/ops/profile.h"
#include "engine/ops/segments.h"
#include "kernels/call.h"
#include "kernels/exp_f32.h"

namespace midge {
namespace {

// Long enough that a part costs much more than joining it; eight splits of a context of 4096.
constexpr int64_t kSplit = 512;
static_assert(kSplit % kAttnStep == 0);

// Splits become tasks of their own below this many sets of queries per worker: cores may differ in
// speed by four.
constexpr int64_t kSetsPerWorker = 4;

// So many splits in a task at most, if there are this many tasks for each worker then.
constexpr int64_t kSplitsPerTask = 8;
constexpr int64_t kTasksPerWorker = 8;

// Queries per worker whose parts have room when they do.
constexpr int64_t kSharedQueriesPerWorker = 16;
constexpr int64_t kSharedQueriesMax = 512;

// A part in memory: [head_dim] sums, the maximum, the total.
int64_t part_floats(int64_t head_dim) { return round_up(head_dim + 2, 16); }

}  // namespace

ArenaPlan AttentionScratch::lay_out(const AttentionShape& shape, int64_t length_max,
                                    int thread_count) {
  const int64_t part = part_floats(shape.head_dim);
  const int64_t splits = ceil_div(length_max, kSplit);
  if (thread_count > 1 && splits > 1) {
    shared_queries_ = std::min(kSharedQueriesPerWorker * thread_count, kSharedQueriesMax);
  }
  ArenaPlan plan;
  plan.add(&per_worker_, thread_count * kAttnQueries * part);
  plan.add(&shared_, shared_queries_ * splits * part);
  return plan;
}

Result<AttentionScratch> AttentionScratch::create(const AttentionShape& shape, int64_t length_max,
                                                  int thread_count) {
  AttentionScratch scratch;
  ArenaPlan plan = scratch.lay_out(shape, length_max, thread_count);
  MIDGE_ASSIGN_OR_RETURN(scratch.buffer_, plan.create("parts of attention"));
  return scratch;
}

int64_t AttentionScratch::bytes_for(const AttentionShape& shape, int64_t length_max,
                                    int thread_count) {
  AttentionScratch scratch;
  return scratch.lay_out(shape, length_max, thread_count).bytes();
}

/// One call of attention() as seen by one worker.
class AttentionRun {
 public:
  AttentionRun(const OpContext& context, const AttentionShape& shape,
               std::span<const Segment> segments, int64_t layer, const float* q,
               const AttentionScratch& scratch, float* out)
      : context_(context),
        shape_(shape),
        segments_(segments),
        layer_(layer),
        group_(shape.heads / shape.kv_heads),
        part_floats_(part_floats(shape.head_dim)),
        // The scale is rounded once, as a constant of the model.
        scale_(1.0f / __builtin_sqrtf(static_cast<float>(shape.head_dim))),
        q_(q),
        scratch_(scratch),
        out_(out) {
    for (const Segment& segment : segments) {
      sets_ += sets_of(segment);
      queries_ += segment.rows * shape.heads;
      splits_ = std::max(splits_, ceil_div(segment.position + segment.rows, kSplit));
    }
  }

  void run() const {
    const int64_t workers = context_.worker->count();
    if (splits_ > 1 && sets_ < kSetsPerWorker * workers && queries_ <= scratch_.shared_queries_) {
      run_splits_apart();
      return;
    }
    // The longest rows of a prompt first, so that no worker is left with one at the end.
    context_.worker->for_each(sets_, [&](int64_t i) { run_set(find_set(sets_ - 1 - i)); });
  }

 private:
  // Queries that share keys: those of the heads of one KV head, row by row.
  struct Set {
    const Segment* segment;
    int64_t kv_head;
    int64_t first;
    int64_t count;
  };
  // The keys begin..end - 1.
  struct Keys {
    int64_t begin;
    int64_t end;
  };
  // What a query has of the parts joined so far.
  struct Joined {
    bool any = false;
    float maximum = 0;
    float total = 0;
  };

  int64_t sets_per_head(const Segment& segment) const {
    return ceil_div(segment.rows * group_, kAttnQueries);
  }
  int64_t sets_of(const Segment& segment) const { return sets_per_head(segment) * shape_.kv_heads; }

  // KV heads change fastest.
  Set find_set(int64_t index) const {
    const Segment* segment = segments_.data();
    for (; index >= sets_of(*segment); ++segment) index -= sets_of(*segment);
    const int64_t first = index / shape_.kv_heads * kAttnQueries;
    return {segment, index % shape_.kv_heads, first,
            std::min(kAttnQueries, segment->rows * group_ - first)};
  }

  int64_t row_of(const Set& set, int64_t j) const {
    return set.segment->first_row + (set.first + j) / group_;
  }
  // Of query j of the set among those of the batch.
  int64_t query_index(const Set& set, int64_t j) const {
    return row_of(set, j) * shape_.heads + set.kv_head * group_ + (set.first + j) % group_;
  }

  // The keys that a row sees.
  Keys keys_of_row(const Segment& segment, int64_t row) const {
    const int64_t end = segment.position + row - segment.first_row + 1;
    return {shape_.window > 0 && end > shape_.window ? end - shape_.window : 0, end};
  }
  static Keys within(const Keys& keys, int64_t split) {
    return {std::max(keys.begin, split * kSplit), std::min(keys.end, (split + 1) * kSplit)};
  }

  AttnFunction kernel_of(KvType type) const {
    const KernelTable& kernels = *context_.kernels;
    switch (type) {
      case KvType::kInt8: return kernels.attn_q8;
      case KvType::kK8V4: return kernels.attn_k8v4;
      default: return kernels.attn[static_cast<int>(kv_elements(type))];
    }
  }

  // The parts of a set's queries in a split; that of query j goes to place(j).
  template <typename Place>
  void run_split(const Set& set, int64_t split, const Place& place) const {
    const KvTable& table = set.segment->kv;
    const KvLayout& kv = *table.layout;
    AttnQuery queries[kAttnQueries];
    float maximums[kAttnQueries];
    float totals[kAttnQueries];
    for (int64_t j = 0; j < set.count; ++j) {
      const Keys keys = within(keys_of_row(*set.segment, row_of(set, j)), split);
      queries[j] = {q_ + query_index(set, j) * shape_.head_dim, keys.begin, keys.end, place(j)};
    }
    const AttnArgs args = {.count = set.count,
                           .head_dim = shape_.head_dim,
                           .queries = queries,
                           .pages = table.pages,
                           .page_count = table.page_count,
                           .page_tokens = kv.page_tokens,
                           .k_offset = kv.keys_offset(layer_, set.kv_head),
                           .k_stride = kv.key_bytes() * kKeyBlock,
                           .v_offset = kv.values_offset(layer_, set.kv_head),
                           .v_stride = kv.value_bytes(),
                           .k_scales_offset = kv.key_scales_offset(layer_, set.kv_head),
                           .v_scales_offset = kv.value_scales_offset(layer_, set.kv_head),
                           .v_scales_stride = kv.scales_stride(),
                           .scale = scale_,
                           .maximums = maximums,
                           .totals = totals};
    call_kernel(kernel_of(kv.type), args);
    for (int64_t j = 0; j < set.count; ++j) {
      place(j)[shape_.head_dim] = maximums[j];
      place(j)[shape_.head_dim + 1] = totals[j];
    }
  }

  // Adds a part to what is in out[head_dim].
  void join(const float* part, Joined* joined, float* out) const {
    const int64_t d = shape_.head_dim;
    const float maximum = part[d];
    const float total = part[d + 1];
    if (!joined->any) {
      *joined = {true, maximum, total};
      std::copy_n(part, d, out);
      return;
    }
    const float highest = std::max(joined->maximum, maximum);
    const float old_factor = generic::exp_f32(joined->maximum - highest);
    const float factor = generic::exp_f32(maximum - highest);
    for (int64_t i = 0; i < d; ++i) out[i] = out[i] * old_factor + part[i] * factor;
    *joined = {true, highest, joined->total * old_factor + total * factor};
  }
  void finish(const Segment& segment, const Joined& joined, float* out) const {
    for (int64_t i = 0; i < shape_.head_dim; ++i) out[i] /= joined.total;
    if (segment.kv.layout->type == KvType::kK8V4) hadamard(out, shape_.head_dim);
  }

  // All splits of a set, one after the other.
  void run_set(const Set& set) const {
    float* parts = scratch_.per_worker_ + context_.worker->index() * kAttnQueries * part_floats_;
    const auto place = [&](int64_t j) { return parts + j * part_floats_; };
    Joined joined[kAttnQueries];
    const int64_t first_key = keys_of_row(*set.segment, row_of(set, 0)).begin;
    const int64_t end_key = keys_of_row(*set.segment, row_of(set, set.count - 1)).end;
    for (int64_t split = first_key / kSplit; split * kSplit < end_key; ++split) {
      run_split(set, split, place);
      for (int64_t j = 0; j < set.count; ++j) {
        const Keys keys = within(keys_of_row(*set.segment, row_of(set, j)), split);
        if (keys.begin >= keys.end) continue;
        join(place(j), &joined[j], out_ + query_index(set, j) * shape_.head_dim);
      }
    }
    for (int64_t j = 0; j < set.count; ++j) {
      finish(*set.segment, joined[j], out_ + query_index(set, j) * shape_.head_dim);
    }
  }

  // A task for some splits of each set, then one for each query that joins its parts.
  void run_splits_apart() const {
    const auto place = [&](int64_t query, int64_t split) {
      return scratch_.shared_ + (query * splits_ + split) * part_floats_;
    };
    // Neighbours go to one worker: a kernel asks ahead for the keys that follow its own.
    const int64_t run = std::clamp<int64_t>(
        sets_ * splits_ / (kTasksPerWorker * context_.worker->count()), 1, kSplitsPerTask);
    const int64_t runs = ceil_div(splits_, run);
    context_.worker->for_each(sets_ * runs, [&](int64_t i) {
      const Set set = find_set(i / runs);
      const int64_t first_key = keys_of_row(*set.segment, row_of(set, 0)).begin;
      const int64_t end_key = keys_of_row(*set.segment, row_of(set, set.count - 1)).end;
      for (int64_t split = i % runs * run; split < std::min(splits_, (i % runs + 1) * run);
           ++split) {
        if (first_key >= (split + 1) * kSplit || end_key <= split * kSplit) continue;
        run_split(set, split, [&](int64_t j) { return place(query_index(set, j), split); });
      }
    });
    context_.worker->for_each(queries_, [&](int64_t query) {
      const int64_t row = query / shape_.heads;
      const Segment& segment = segment_of(segments_, row);
      const Keys keys = keys_of_row(segment, row);
      float* out = out_ + query * shape_.head_dim;
      Joined joined;
      for (int64_t split = keys.begin / kSplit; split * kSplit < keys.end; ++split) {
        join(place(query, split), &joined, out);
      }
      finish(segment, joined, out);
    });
  }

  const OpContext& context_;
  const AttentionShape& shape_;
  const std::span<const Segment> segments_;
  const int64_t layer_;
  const int64_t group_;  // heads that share a KV head
  const int64_t part_floats_;
  const float scale_;
  const float* q_;
  const AttentionScratch& scratch_;
  float* out_;
  int64_t sets_ = 0;
  int64_t queries_ = 0;
  int64_t splits_ = 1;  // of the longest row
};

void attention(const OpContext& context, const AttentionShape& shape,
               std::span<const Segment> segments, int64_t layer, const float* q,
               AttentionScratch& scratch, float* out) {
  const OpScope scope(context.log, OpKind::kAttention, logged_rows(context, segments), nullptr,
                      layer);
  AttentionRun(context, shape, segments, layer, q, scratch, out).run();
}

}  // namespace midge
