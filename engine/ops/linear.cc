// Matrix products: which arithmetic, how the rows of a matrix are spread over the workers.
#include <algorithm>

#include "engine/core/arena.h"
#include "engine/core/checked_math.h"
#include "engine/ops/dense_backend.h"
#include "engine/ops/quantize.h"
#include "kernels/call.h"

namespace midge {
namespace {

// A task of the decode arithmetic has so many bytes of weights, or a tile: few, so that cores of
// different speeds end together. A worker takes neighbouring ones, so its stream goes on. But at
// least so many per worker (docs/tuning-log.md).
constexpr int64_t kDecodeTaskBytes = 64 * 1024;
constexpr int64_t kDecodeTasksPerWorker = 4;
// With more rows than a kernel takes at a time, the tiles that all rows pass through while they are
// in L2.
constexpr int64_t kDecodeReuseBytes = 128 * 1024;

// Tiles whose panels one task of the prefill arithmetic holds at a time, and the rows it takes
// through them: activations are read from the outer caches once per kPanelTiles tiles, and the
// accumulators (kPanelTiles * kPanelRows * 128 bytes) stay in L2. A multiple of every
// PanelShape::tokens.
constexpr int64_t kPanelTiles = 2;
constexpr int64_t kPanelRows = 528;

// Rows of a matrix in place per task, at least; and the multiply-adds that are worth a task.
constexpr int64_t kFloatRowsPerTask = 8;
constexpr int64_t kFloatMacsPerTask = 65536;

constexpr int64_t kFloatBytes = sizeof(float);

int64_t super_blocks(int64_t k) { return ceil_div(k, kPanelColumns); }

int64_t lhs_row_bytes(int64_t k) { return lhs_blocks(k) * static_cast<int64_t>(sizeof(LhsBlock)); }

bool is_packed(const PreparedMatrix& w) { return w.form == PreparedMatrix::Form::kTiles; }
bool is_dense(const PreparedMatrix& w) { return w.form == PreparedMatrix::Form::kDense; }
bool is_quantised(const PreparedMatrix& w) {
  return is_packed(w) && w.tiles.encoding != Encoding::kF16;
}

}  // namespace

ArenaPlan LinearScratch::lay_out(const KernelTables& kernels, int64_t rows_max, int64_t columns_max,
                                 int thread_count) {
  const int64_t blocks = super_blocks(columns_max);
  kernels_ = &kernels;
  strip_rows_ = quantize_strip_rows(kernels);
  rows_ = std::min(round_up(rows_max, strip_rows_), kPanelRows);
  columns_max_ = columns_max;
  // A row takes more as LhsBlocks than as a panel's values. Both are there in a batch of both
  // roles, with the panels' rows rounded up behind the LhsBlocks.
  int64_t lhs_bytes = rows_max * lhs_row_bytes(columns_max) + 64;
  ArenaPlan plan;
  for (size_t i = 0; i < kernels.orders().size(); ++i) {
    const int64_t tokens = panel_shape(kernels.orders()[i]).tokens;
    lhs_bytes += (i == 0 ? tokens - 1 : round_up(rows_max, tokens)) * blocks * kPanelColumns;
    plan.add(&lhs_scales_[i], round_up(rows_max, tokens) * blocks);
    plan.add(&lhs_sums_[i], round_up(rows_max, tokens) * blocks);
  }
  plan.add(&lhs_, lhs_bytes);
  plan.add(&outliers_.items, rows_max * blocks * kOutliersMax);
  plan.add(&outliers_.counts, rows_max * blocks);
  plan.add(&per_worker_, thread_count * worker_bytes());
  return plan;
}

Result<LinearScratch> LinearScratch::create(const KernelTables& kernels, int64_t rows_max,
                                            int64_t columns_max, int thread_count) {
  LinearScratch scratch;
  ArenaPlan plan = scratch.lay_out(kernels, rows_max, columns_max, thread_count);
  MIDGE_ASSIGN_OR_RETURN(scratch.buffer_, plan.create("quantised activations"));
  return scratch;
}

int64_t LinearScratch::bytes_for(const KernelTables& kernels, int64_t rows_max, int64_t columns_max,
                                 int thread_count) {
  LinearScratch scratch;
  return scratch.lay_out(kernels, rows_max, columns_max, thread_count).bytes();
}

// Rows without their outliers; or, later, the decoded columns of a super-block.
int64_t LinearScratch::strip_bytes() const {
  return round_up(std::max(strip_rows_ * columns_max_, kPanelColumns * kTileRows) * kFloatBytes,
                  64);
}

// A panel, its scales and its accumulators for each of kPanelTiles tiles; a strip.
int64_t LinearScratch::worker_bytes() const {
  return kPanelTiles * (kPanelBytes + kTileRows * kFloatBytes * (1 + rows_)) + strip_bytes();
}

/// One call of linear(), as seen by one worker.
class LinearPass {
 public:
  LinearPass(const OpContext& context, const LinearInput& input, RoleRows rows, int64_t k,
             std::span<const LinearJob> jobs, LinearScratch& scratch)
      : context_(context),
        kernels_(*context.kernels),
        worker_(*context.worker),
        input_(input),
        rows_(rows),
        m_(rows.all()),
        k_(k),
        jobs_(jobs),
        s_(scratch) {
    const KernelTables& tables = *s_.kernels_;
    order_ = static_cast<size_t>(tables.order_index(kernels_));
    auto* values =
        reinterpret_cast<int8_t*>(s_.lhs_ + round_up(rows.generated * lhs_row_bytes(k), 64));
    for (size_t i = 0; i < tables.orders().size(); ++i) {
      const int64_t order_rows = round_up(rows.prompt, panel_shape(tables.orders()[i]).tokens);
      panel_lhs_[i] = {values, s_.lhs_scales_[i], s_.lhs_sums_[i], order_rows};
      values += order_rows * super_blocks(k) * kPanelColumns;
    }
  }

  void run() {
    prepare_input();
    if (context_.observer != nullptr && !is_quantised(*jobs_.front().w)) {
      context_.observer->observe(jobs_, input_.x, m_, k_);
    }
    const OpScope scope(context_.log, OpKind::kLinear, m_, jobs_.front().w);
    int64_t tasks = 0;
    int64_t features = 0;
    for (const LinearJob& job : jobs_) {
      if (is_dense(*job.w)) {
        job.w->dense->run(worker_, input_.x, m_, job.out);
        continue;
      }
      tasks += task_count(job);
      features += job.w->n();
    }
    const double macs = static_cast<double>(features) * static_cast<double>(k_ * m_);
    worker_.for_each(
        tasks,
        [&](int64_t task) {
          for (const LinearJob& job : jobs_) {
            const int64_t count = task_count(job);
            if (task < count) return run_task(job, task);
            task -= count;
          }
        },
        macs / static_cast<double>(std::max<int64_t>(1, tasks)));
    add_to_dense();
  }

 private:
  // The rows of a job that take the prefill arithmetic: the last ones.
  int64_t prefill_rows(const LinearJob& job) const {
    return is_quantised(*job.w) ? rows_.prompt : 0;
  }

  // Tiles of a packed matrix, or rows of one in place, that make a task.
  int64_t task_size(const LinearJob& job) const {
    if (!is_packed(*job.w)) {
      return std::max(kFloatRowsPerTask, ceil_div(kFloatMacsPerTask, m_ * k_));
    }
    if (prefill_rows(job) > 0) return kPanelTiles;
    const int64_t few = std::max<int64_t>(1, kDecodeTaskBytes / job.w->tiles.tile_bytes());
    return std::min(few, std::max<int64_t>(1, ceil_div(job.w->tiles.tile_count(),
                                                       kDecodeTasksPerWorker * worker_.count())));
  }

  int64_t task_count(const LinearJob& job) const {
    if (is_dense(*job.w)) return 0;
    return ceil_div(is_packed(*job.w) ? job.w->tiles.tile_count() : job.w->rows.n, task_size(job));
  }

  void run_task(const LinearJob& job, int64_t task) const {
    const int64_t size = task_size(job);
    const int64_t first = task * size;
    if (!is_packed(*job.w)) {
      run_float(job, first, std::min(size, job.w->rows.n - first));
      return;
    }
    // The rows of the decode arithmetic bring the tiles into the cache for those of the prefill
    // arithmetic.
    const int64_t tiles = std::min(size, job.w->tiles.tile_count() - first);
    const int64_t prefill = prefill_rows(job);
    if (m_ > prefill) run_decode(job, m_ - prefill, first, tiles);
    if (prefill > 0) run_prefill(job, m_ - prefill, first, tiles);
  }

  // Leaves in input_ rows that matrices of floats can read, and quantised ones for the others.
  void prepare_input() {
    const OpScope scope(context_.log, OpKind::kQuantize, m_, jobs_.front().w);
    const auto quantised = std::count_if(jobs_.begin(), jobs_.end(),
                                         [](const LinearJob& job) { return is_quantised(*job.w); });
    const bool is_plain = input_.norm == nullptr && input_.up == nullptr;
    if (!is_plain && quantised < static_cast<int64_t>(jobs_.size())) {
      make_rows(context_, input_, m_, k_, input_.rows);
      input_ = {input_.rows};
    }
    if (quantised == 0) return;
    if (rows_.generated > 0) {
      quantize_rows(context_, input_, rows_.generated, k_, strip_of_worker(), lhs_row(0));
    }
    if (rows_.prompt > 0) {
      quantize_panels(context_, input_.from(rows_.generated, k_), rows_.prompt, k_,
                      strip_of_worker(), *s_.kernels_, panel_lhs_, s_.outliers_);
    }
  }

  float* strip_of_worker() const {
    return reinterpret_cast<float*>(s_.per_worker_ + (worker_.index() + 1) * s_.worker_bytes() -
                                    s_.strip_bytes());
  }

  LhsBlock* lhs_row(int64_t row) const {
    return reinterpret_cast<LhsBlock*>(s_.lhs_) + row * lhs_blocks(k_);
  }

  static const float* addend_at(const LinearJob& job, int64_t row, int64_t feature) {
    return job.addend == nullptr ? nullptr : job.addend + row * job.addend_stride + feature;
  }

  // The decode arithmetic of the first m rows on tiles first..first+tiles-1.
  void run_decode(const LinearJob& job, int64_t m, int64_t first, int64_t tiles) const {
    const int64_t piece = m <= kGemvRowsMax
                              ? tiles
                              : std::max<int64_t>(1, kDecodeReuseBytes / job.w->tiles.tile_bytes());
    for (int64_t tile = 0; tile < tiles; tile += piece) {
      run_decode_piece(job, m, first + tile, std::min(piece, tiles - tile));
    }
  }

  // Columns that are packed in a second part are added to the finished sums of the first.
  void run_decode_piece(const LinearJob& job, int64_t m, int64_t first, int64_t tiles) const {
    run_gemv(job, job.w->tiles, 0, m, first, tiles);
    if (job.w->tail.k == 0) return;
    LinearJob rest = job;
    rest.addend = job.out;
    rest.addend_stride = job.w->n();
    run_gemv(rest, job.w->tail, job.w->tiles.k, m, first, tiles);
  }

  // The part of a packed matrix that has the columns from `column` on, a multiple of 256.
  void run_gemv(const LinearJob& job, const WeightTiles& w, int64_t column, int64_t m,
                int64_t first, int64_t tiles) const {
    const int64_t feature = first * kTileRows;
    const bool is_float = w.encoding == Encoding::kF16;
    const int64_t lhs_stride = is_float ? k_ * kFloatBytes : lhs_row_bytes(k_);
    for (int64_t row = 0; row < m; row += kGemvRowsMax) {
      const int64_t rows = std::min<int64_t>(kGemvRowsMax, m - row);
      const void* lhs = is_float ? static_cast<const void*>(input_.x + row * k_ + column)
                                 : lhs_row(row) + lhs_blocks(column);
      const GemvArgs args = {.m = rows,
                             .n = std::min(tiles * kTileRows, w.n - feature),
                             .k = w.k,
                             .lhs = lhs,
                             .lhs_stride = lhs_stride,
                             .rhs = w.tile(first),
                             .addend = addend_at(job, row, feature),
                             .addend_stride = job.addend_stride * kFloatBytes,
                             .out = job.out + row * w.n + feature,
                             .out_stride = w.n * kFloatBytes};
      call_kernel(kernels_.gemv[static_cast<int>(w.encoding)][rows], args);
    }
  }

  // The prefill arithmetic of the rows from first_row on, on tiles first..first+tiles-1, kPanelRows
  // rows at a time.
  void run_prefill(const LinearJob& job, int64_t first_row, int64_t first, int64_t tiles) const {
    uint8_t* mine = s_.per_worker_ + worker_.index() * s_.worker_bytes();
    auto* panels = reinterpret_cast<int8_t*>(mine);
    auto* scales = reinterpret_cast<float*>(mine + kPanelTiles * kPanelBytes);
    float* accs = scales + kPanelTiles * kTileRows;
    const PanelLhs& lhs = panel_lhs_[order_];
    const int64_t m = m_ - first_row;
    for (int64_t row = 0; row < m; row += s_.rows_) {
      const int64_t rows = std::min(s_.rows_, m - row);
      for (int64_t s = 0; s < super_blocks(k_); ++s) {
        const int64_t lhs_at = s * lhs.rows + row;
        const int64_t column = s * kPanelColumns;
        const bool in_tail = column >= job.w->tiles.k;
        const WeightTiles& w = in_tail ? job.w->tail : job.w->tiles;
        const int64_t units =
            (column - (in_tail ? job.w->tiles.k : 0)) / packed_info(w.encoding).unit_elements;
        const auto add_outliers = kernels_.add_outliers[static_cast<int>(w.encoding)];
        for (int64_t t = 0; t < tiles; ++t) {
          const UnpackArgs unpack_args = {
              std::min(kPanelColumns, k_ - column),
              w.tile(first + t) + units * packed_info(w.encoding).unit_bytes,
              panels + t * kPanelBytes, scales + t * kTileRows};
          unpack_panel(kernels_, w.encoding, unpack_args);
          const GemmPanelArgs args = {round_up(rows, kernels_.panel.step),
                                      s == 0,
                                      lhs.values + lhs_at * kPanelColumns,
                                      lhs.scales + lhs_at,
                                      lhs.sums + lhs_at,
                                      panels + t * kPanelBytes,
                                      scales + t * kTileRows,
                                      accs + t * s_.rows_ * kTileRows};
          call_kernel(kernels_.gemm_panel, args);
          const Outliers outliers = s_.outliers_.from(s * rows_.prompt + row);
          const AddOutliersArgs outlier_args = {.m = rows,
                                                .rhs = unpack_args.rhs,
                                                .counts = outliers.counts,
                                                .items = outliers.items,
                                                .columns = strip_of_worker(),
                                                .acc = args.acc};
          call_kernel(add_outliers, outlier_args);
        }
      }
      for (int64_t t = 0; t < tiles; ++t) {
        store(job, first_row + row, rows, (first + t) * kTileRows, accs + t * s_.rows_ * kTileRows);
      }
    }
  }

  // out[row.., feature..] = acc [rows, 32] (+ addend): 32 output features from `feature` on, as far
  // as the matrix has them.
  void store(const LinearJob& job, int64_t row, int64_t rows, int64_t feature,
             const float* acc) const {
    const int64_t n = job.w->n();
    const int64_t count = std::min(kTileRows, n - feature);
    for (int64_t i = 0; i < rows; ++i) {
      float* out = job.out + (row + i) * n + feature;
      const float* addend = addend_at(job, row + i, feature);
      if (addend != nullptr) {
        for (int64_t j = 0; j < count; ++j) out[j] = acc[i * kTileRows + j] + addend[j];
      } else if (count == kTileRows) {  // without a call of memmove
        for (int64_t j = 0; j < kTileRows; ++j) out[j] = acc[i * kTileRows + j];
      } else {
        std::copy_n(acc + i * kTileRows, count, out);
      }
    }
  }

  // The float arithmetic on rows in place.
  void run_float(const LinearJob& job, int64_t first, int64_t count) const {
    const WeightRows& w = job.w->rows;
    const GemmArgs args = {.m = m_,
                           .n = count,
                           .k = k_,
                           .lhs = input_.x,
                           .lhs_stride = k_ * kFloatBytes,
                           .rhs = w.row(first),
                           .rhs_stride = w.row_stride,
                           .addend = addend_at(job, 0, first),
                           .addend_stride = job.addend_stride * kFloatBytes,
                           .out = job.out + first,
                           .out_stride = w.n * kFloatBytes};
    call_kernel(kernels_.gemm[static_cast<int>(w.encoding)], args);
  }

  // XNNPACK writes plain products; the addends follow in a pass of their own.
  void add_to_dense() const {
    for (const LinearJob& job : jobs_) {
      if (!is_dense(*job.w) || job.addend == nullptr) continue;
      worker_.for_each(m_, [&](int64_t row) {
        const int64_t n = job.w->n();
        float* out = job.out + row * n;
        const AddArgs args = {n, out, addend_at(job, row, 0), out};
        call_kernel(kernels_.add, args);
      });
    }
  }

  const OpContext& context_;
  const KernelTable& kernels_;
  const Worker& worker_;
  LinearInput input_;
  RoleRows rows_;
  int64_t m_;
  int64_t k_;
  std::span<const LinearJob> jobs_;
  LinearScratch& s_;
  PanelLhs panel_lhs_[kLhsOrderCount] = {};  // by index of order
  size_t order_ = 0;                         // that this worker's kernels read
};

void linear(const OpContext& context, const LinearInput& input, RoleRows rows,
            std::span<const LinearJob> jobs, LinearScratch& scratch) {
  LinearPass(context, input, rows, jobs.front().w->k(), jobs, scratch).run();
}

}  // namespace midge
