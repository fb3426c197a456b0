// Matrix products: which arithmetic, how the rows of a matrix are spread over the workers.
#include <algorithm>

#include "engine/core/checked_math.h"
#include "engine/ops/dense_backend.h"
#include "engine/ops/quantize.h"

namespace midge {
namespace {

// Tasks of the decode arithmetic per worker and matrix: long ranges, because each start makes the
// hardware prefetchers find a new stream, but more than one, so that a worker that is held up does
// not hold up the others (docs/tuning-log.md).
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

bool is_quantised(const WeightMatrix& w) {
  return w.packed != nullptr && w.packed_encoding != Encoding::kF16;
}

}  // namespace

WeightMatrix WeightMatrix::rows(int64_t first, int64_t count) const {
  WeightMatrix part = *this;
  part.n = count;
  part.data = static_cast<const uint8_t*>(data) + first * row_stride;
  return part;
}

Result<LinearScratch> LinearScratch::create(const KernelTable& kernels, int64_t rows_max,
                                            int64_t columns_max, int thread_count) {
  const int64_t rows = round_up(rows_max, kernels.panel.tokens);
  const int64_t blocks = super_blocks(columns_max);
  const int64_t lhs_bytes =
      std::max(rows_max * lhs_blocks(columns_max) * static_cast<int64_t>(sizeof(LhsBlock)),
               rows * blocks * kPanelColumns);
  LinearScratch scratch;
  scratch.rows_ = std::min(rows, kPanelRows);
  scratch.strip_rows_ = quantize_strip_rows(kernels);
  scratch.columns_max_ = columns_max;
  const int64_t sizes[] = {
      round_up(lhs_bytes, 64),
      round_up(rows * blocks * kFloatBytes, 64),
      round_up(rows * blocks * kFloatBytes, 64),
      round_up(rows * blocks * kOutliersMax * static_cast<int64_t>(sizeof(Outlier)), 64),
      round_up(rows * blocks, 64),
      thread_count * scratch.worker_bytes(),
  };
  int64_t total = 0;
  for (const int64_t size : sizes) total += size;
  MIDGE_ASSIGN_OR_RETURN(scratch.buffer_, AlignedBuffer::create(total, "quantised activations"));
  uint8_t* at = scratch.buffer_.data();
  scratch.lhs_ = at;
  at += sizes[0];
  scratch.lhs_scales_ = reinterpret_cast<float*>(at);
  at += sizes[1];
  scratch.lhs_sums_ = reinterpret_cast<int32_t*>(at);
  at += sizes[2];
  scratch.outliers_.items = reinterpret_cast<Outlier*>(at);
  at += sizes[3];
  scratch.outliers_.counts = at;
  at += sizes[4];
  scratch.per_worker_ = at;
  return scratch;
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
class LinearRun {
 public:
  LinearRun(const OpContext& context, const LinearInput& input, int64_t m, int64_t k, RowRole role,
            std::span<const LinearJob> jobs, LinearScratch& scratch)
      : context_(context),
        kernels_(*context.kernels),
        worker_(*context.worker),
        input_(input),
        m_(m),
        k_(k),
        role_(role),
        jobs_(jobs),
        s_(scratch) {
    panel_lhs_ = {reinterpret_cast<int8_t*>(s_.lhs_), s_.lhs_scales_, s_.lhs_sums_,
                  round_up(m, kernels_.panel.tokens)};
  }

  void run() {
    prepare_input();
    const ProfileScope scope(context_.profile, OpKind::kLinear);
    int64_t tasks = 0;
    for (const LinearJob& job : jobs_) {
      if (job.w->dense != nullptr) job.w->dense->run(worker_, input_.x, m_, job.out);
      tasks += task_count(job);
    }
    worker_.for_each(tasks, [&](int64_t task) {
      for (const LinearJob& job : jobs_) {
        const int64_t count = task_count(job);
        if (task < count) return run_task(job, task);
        task -= count;
      }
    });
    add_to_dense();
  }

 private:
  bool is_prefill(const LinearJob& job) const {
    return is_quantised(*job.w) && role_ == RowRole::kPrompt;
  }

  // Tiles of a packed matrix, or rows of one in place, that make a task.
  int64_t task_size(const LinearJob& job) const {
    if (job.w->packed == nullptr) {
      return std::max(kFloatRowsPerTask, ceil_div(kFloatMacsPerTask, m_ * k_));
    }
    if (is_prefill(job)) return kPanelTiles;
    return std::max<int64_t>(
        1, ceil_div(job.w->tile_count(), kDecodeTasksPerWorker * worker_.count()));
  }

  int64_t task_count(const LinearJob& job) const {
    if (job.w->dense != nullptr) return 0;
    return ceil_div(job.w->packed == nullptr ? job.w->n : job.w->tile_count(), task_size(job));
  }

  void run_task(const LinearJob& job, int64_t task) const {
    const int64_t size = task_size(job);
    const int64_t first = task * size;
    if (job.w->packed == nullptr) {
      run_float(job, first, std::min(size, job.w->n - first));
    } else if (is_prefill(job)) {
      run_prefill(job, first, std::min(size, job.w->tile_count() - first));
    } else {
      run_decode(job, first, std::min(size, job.w->tile_count() - first));
    }
  }

  // Leaves in input_ rows that matrices of floats can read, and quantised ones for the others.
  void prepare_input() {
    const ProfileScope scope(context_.profile, OpKind::kQuantize);
    const auto quantised = std::count_if(jobs_.begin(), jobs_.end(),
                                         [](const LinearJob& job) { return is_quantised(*job.w); });
    const bool is_plain = input_.norm == nullptr && input_.up == nullptr;
    if (!is_plain && quantised < static_cast<int64_t>(jobs_.size())) {
      make_rows(context_, input_, m_, k_, input_.rows);
      input_ = {input_.rows};
    }
    if (quantised == 0) return;
    if (role_ == RowRole::kGenerated) {
      quantize_rows(context_, input_, m_, k_, strip_of_worker(), lhs_row(0));
    } else {
      quantize_panels(context_, input_, m_, k_, strip_of_worker(), panel_lhs_, s_.outliers_);
    }
  }

  float* strip_of_worker() const {
    return reinterpret_cast<float*>(s_.per_worker_ + (worker_.index() + 1) * s_.worker_bytes() -
                                    s_.strip_bytes());
  }

  LhsBlock* lhs_row(int64_t row) const {
    return reinterpret_cast<LhsBlock*>(s_.lhs_) + row * lhs_blocks(k_);
  }

  static const float* addend_at(const LinearJob& job, int64_t row, int64_t column) {
    return job.addend == nullptr ? nullptr : job.addend + row * job.addend_stride + column;
  }

  // The decode arithmetic on tiles first..first+tiles-1.
  void run_decode(const LinearJob& job, int64_t first, int64_t tiles) const {
    const int64_t piece =
        m_ <= kGemvRowsMax ? tiles : std::max<int64_t>(1, kDecodeReuseBytes / job.w->tile_bytes());
    for (int64_t tile = 0; tile < tiles; tile += piece) {
      run_decode_piece(job, first + tile, std::min(piece, tiles - tile));
    }
  }

  void run_decode_piece(const LinearJob& job, int64_t first, int64_t tiles) const {
    const WeightMatrix& w = *job.w;
    const int64_t column = first * kTileRows;
    const bool is_float = w.packed_encoding == Encoding::kF16;
    const int64_t lhs_stride =
        is_float ? k_ * kFloatBytes : lhs_blocks(k_) * static_cast<int64_t>(sizeof(LhsBlock));
    for (int64_t row = 0; row < m_; row += kGemvRowsMax) {
      const int64_t rows = std::min<int64_t>(kGemvRowsMax, m_ - row);
      const void* lhs = is_float ? static_cast<const void*>(input_.x + row * k_) : lhs_row(row);
      const GemvArgs args = {rows,
                             std::min(tiles * kTileRows, w.n - column),
                             k_,
                             lhs,
                             lhs_stride,
                             w.packed + first * w.tile_bytes(),
                             addend_at(job, row, column),
                             job.addend_stride * kFloatBytes,
                             job.out + row * w.n + column,
                             w.n * kFloatBytes};
      kernels_.gemv[static_cast<int>(w.packed_encoding)][rows](&args);
    }
  }

  // The prefill arithmetic on tiles first..first+tiles-1, kPanelRows rows at a time.
  void run_prefill(const LinearJob& job, int64_t first, int64_t tiles) const {
    const WeightMatrix& w = *job.w;
    uint8_t* mine = s_.per_worker_ + worker_.index() * s_.worker_bytes();
    auto* panels = reinterpret_cast<int8_t*>(mine);
    auto* scales = reinterpret_cast<float*>(mine + kPanelTiles * kPanelBytes);
    float* accs = scales + kPanelTiles * kTileRows;
    const auto add_outliers = kernels_.add_outliers[static_cast<int>(w.packed_encoding)];
    const int64_t panel_units = kPanelColumns / packed_info(w.packed_encoding).unit_elements *
                                packed_info(w.packed_encoding).unit_bytes;
    for (int64_t row = 0; row < m_; row += s_.rows_) {
      const int64_t rows = std::min(s_.rows_, m_ - row);
      for (int64_t s = 0; s < super_blocks(k_); ++s) {
        const int64_t lhs_at = s * panel_lhs_.rows + row;
        for (int64_t t = 0; t < tiles; ++t) {
          const UnpackArgs unpack_args = {std::min(kPanelColumns, k_ - s * kPanelColumns),
                                          w.packed + (first + t) * w.tile_bytes() + s * panel_units,
                                          panels + t * kPanelBytes, scales + t * kTileRows};
          unpack_panel(kernels_, w.packed_encoding, unpack_args);
          const GemmPanelArgs args = {round_up(rows, kernels_.panel.step),
                                      s == 0,
                                      panel_lhs_.values + lhs_at * kPanelColumns,
                                      panel_lhs_.scales + lhs_at,
                                      panel_lhs_.sums + lhs_at,
                                      panels + t * kPanelBytes,
                                      scales + t * kTileRows,
                                      accs + t * s_.rows_ * kTileRows};
          kernels_.gemm_panel(&args);
          const Outliers outliers = s_.outliers_.from(lhs_at);
          const AddOutliersArgs outlier_args = {rows,           unpack_args.rhs,   outliers.counts,
                                                outliers.items, strip_of_worker(), args.acc};
          add_outliers(&outlier_args);
        }
      }
      for (int64_t t = 0; t < tiles; ++t) {
        store(job, row, rows, (first + t) * kTileRows, accs + t * s_.rows_ * kTileRows);
      }
    }
  }

  // out[row.., column..] = acc [rows, 32] (+ addend), as far as the matrix has columns.
  void store(const LinearJob& job, int64_t row, int64_t rows, int64_t column,
             const float* acc) const {
    const int64_t n = job.w->n;
    const int64_t count = std::min(kTileRows, n - column);
    for (int64_t i = 0; i < rows; ++i) {
      float* out = job.out + (row + i) * n + column;
      const float* addend = addend_at(job, row + i, column);
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
    const WeightMatrix& w = *job.w;
    const WeightMatrix part = w.rows(first, count);
    const GemmArgs args = {m_,
                           count,
                           k_,
                           input_.x,
                           k_ * kFloatBytes,
                           part.data,
                           w.row_stride,
                           addend_at(job, 0, first),
                           job.addend_stride * kFloatBytes,
                           job.out + first,
                           w.n * kFloatBytes};
    kernels_.gemm[static_cast<int>(w.encoding)](&args);
  }

  // XNNPACK writes plain products; the addends follow in a pass of their own.
  void add_to_dense() const {
    for (const LinearJob& job : jobs_) {
      if (job.w->dense == nullptr || job.addend == nullptr) continue;
      worker_.for_each(m_, [&](int64_t row) {
        float* out = job.out + row * job.w->n;
        const AddArgs args = {job.w->n, out, addend_at(job, row, 0), out};
        kernels_.add(&args);
      });
    }
  }

  const OpContext& context_;
  const KernelTable& kernels_;
  const Worker& worker_;
  LinearInput input_;
  int64_t m_;
  int64_t k_;
  RowRole role_;
  std::span<const LinearJob> jobs_;
  LinearScratch& s_;
  PanelLhs panel_lhs_;
};

void linear(const OpContext& context, const LinearInput& input, int64_t m, RowRole role,
            std::span<const LinearJob> jobs, LinearScratch& scratch) {
  LinearRun(context, input, m, jobs.front().w->k, role, jobs, scratch).run();
}

}  // namespace midge
