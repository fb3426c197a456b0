#include "engine/calibration/calibrate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <optional>

#include <sched.h>
#include <time.h>

#include "engine/calibration/calibration_file.h"
#include "engine/calibration/operands.h"
#include "engine/core/checked_math.h"

namespace midge {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Processor time of this thread: other programs do not count.
double thread_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Runs of a candidate: odd numbers, as the median is taken; at least three, as one may be held up.
constexpr int kRounds = 9;
constexpr int kRoundsMin = 3;
constexpr int kTrials = 3;
// A candidate that takes this many times as long as another in the trials is out.
constexpr double kHopeless = 2;
// What a clock can tell at best: nothing takes no time.
constexpr double kClockSeconds = 1e-9;

// Weights of a run at most: long enough for the start of a stream not to matter.
constexpr int64_t kRunBytes = 2 << 20;
// Columns of a tile that prefill kernels take, so that a run is short on slow cores, too.
constexpr int64_t kPrefillColumns = 4 * kPanelColumns;
// Weights that each thread reads in a pass to measure the bandwidth, and the passes.
constexpr int64_t kReadBytes = 4 << 20;
constexpr int64_t kReadPieceBytes = 64 << 10;
constexpr int kReadPasses = 5;
// After this, no more passes of a number of threads: other programs keep them apart.
constexpr double kReadSeconds = 0.01;

// Attention, from caches: a split of keys of the usual size.
constexpr int64_t kAttnKeys = 512;
constexpr int64_t kAttnHeadDim = 128;

// Keeps this thread on some cores as long as it lives.
class PinnedThread {
 public:
  explicit PinnedThread(const std::vector<int>& cores) {
    pinned_ = ::sched_getaffinity(0, sizeof(before_), &before_) == 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores) CPU_SET(static_cast<size_t>(core), &set);
    pinned_ = pinned_ && ::sched_setaffinity(0, sizeof(set), &set) == 0;
  }
  bool is_pinned() const { return pinned_; }
  ~PinnedThread() {
    if (pinned_) ::sched_setaffinity(0, sizeof(before_), &before_);
  }
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  cpu_set_t before_;
  bool pinned_ = false;
};

// Hands out the tiles of matrices of one shape in turn, so that what is read was not read lately.
class TileWalk {
 public:
  // Of the weights in an encoding, the matrices with the width that most of their bytes have.
  TileWalk(std::span<const WeightTiles> weights, Encoding encoding) {
    int64_t most = 0;
    for (const WeightTiles& sample : weights) {
      if (sample.encoding != encoding) continue;
      int64_t bytes = 0;
      for (const WeightTiles& other : weights) {
        if (other.encoding == encoding && other.k == sample.k) bytes += bytes_of(other);
      }
      if (bytes > most) {
        most = bytes;
        k_ = sample.k;
      }
    }
    for (const WeightTiles& sample : weights) {
      if (sample.encoding == encoding && sample.k == k_) samples_.push_back(sample);
    }
    bytes_ = most;
    if (most > 0) tile_bytes_ = packed_tile_bytes(encoding, k_);
  }

  static int64_t tiles_of(const WeightTiles& sample) { return ceil_div(sample.n, kTileRows); }
  static int64_t bytes_of(const WeightTiles& sample) {
    return tiles_of(sample) * packed_tile_bytes(sample.encoding, sample.k);
  }

  int64_t bytes() const { return bytes_; }
  int64_t k() const { return k_; }
  int64_t tile_bytes() const { return tile_bytes_; }

  // body(tiles, count) for the next `count` tiles, in pieces that lie together.
  template <typename Body>
  void next(int64_t count, const Body& body) {
    while (count > 0) {
      const WeightTiles& sample = samples_[sample_];
      const int64_t piece = std::min(count, tiles_of(sample) - tile_);
      body(sample.data + tile_ * tile_bytes_, piece);
      count -= piece;
      tile_ += piece;
      if (tile_ == tiles_of(sample)) {
        tile_ = 0;
        sample_ = (sample_ + 1) % samples_.size();
      }
    }
  }

 private:
  std::vector<WeightTiles> samples_;
  int64_t bytes_ = 0;
  int64_t k_ = 0;
  int64_t tile_bytes_ = 0;
  size_t sample_ = 0;
  int64_t tile_ = 0;
};

// Operands of the kernels beside the weights, and what they are called with.
class KernelRun {
 public:
  static Result<KernelRun> create(const CalibrationCase& c, TileWalk walk) {
    KernelRun run(c, std::move(walk));
    switch (c.op) {
      case Op::kGemv: MIDGE_RETURN_IF_ERROR(run.prepare_gemv()); break;
      case Op::kGemmPanel: MIDGE_RETURN_IF_ERROR(run.prepare_panel()); break;
      default: MIDGE_RETURN_IF_ERROR(run.prepare_attn()); break;
    }
    return run;
  }

  // What the rates count, for one of the `units` of run(): tiles, or calls of attention. They are
  // not the units of a packed tile.
  int64_t unit_work() const {
    if (case_.op == Op::kGemv) return walk_.tile_bytes();
    if (case_.op == Op::kGemmPanel) return case_.rows * kTileRows * prefill_columns();
    return attn_bytes();
  }
  int64_t units_max() const { return units_max_; }

  /// What run() would do once for a kernel.
  void get_ready(const KernelInfo& kernel) {
    if (case_.op == Op::kGemmPanel) table_of(kernel);
  }
  void run(const KernelInfo& kernel, int64_t units) {
    switch (case_.op) {
      case Op::kGemv: return run_gemv(kernel, units);
      case Op::kGemmPanel: return run_panel(kernel, units);
      default: return run_attn(kernel, units);
    }
  }

 private:
  KernelRun(const CalibrationCase& c, TileWalk walk) : case_(c), walk_(std::move(walk)) {}

  // `units` are tiles.
  Status prepare_gemv() {
    units_max_ = std::max<int64_t>(1, kRunBytes / walk_.tile_bytes());
    GemvLhs lhs;
    lhs.floats = random_floats(case_.rows * walk_.k(), 1);
    if (case_.encoding != Encoding::kF16) {
      lhs.blocks = quantized_rows(lhs.floats, case_.rows, walk_.k());
    }
    gemv_ = gemv_operands(case_.encoding, case_.rows, units_max_ * kTileRows, walk_.k(), 0, lhs,
                          nullptr, memory_);
    dense_out(&gemv_, memory_);
    return memory_.status();
  }

  void run_gemv(const KernelInfo& kernel, int64_t units) {
    const auto gemv = reinterpret_cast<GemvFunction>(kernel.function);
    walk_.next(units, [&](const uint8_t* tiles, int64_t count) {
      gemv_.n = count * kTileRows;
      gemv_.rhs = tiles;
      gemv(&gemv_);
    });
  }

  int64_t prefill_columns() const { return std::min(walk_.k(), kPrefillColumns); }

  // `units` are tiles, each with all rows. The rows of every 256 columns are the same ones.
  Status prepare_panel() {
    units_max_ = std::max<int64_t>(1, kRunBytes / walk_.tile_bytes());
    const std::vector<float> values = random_floats(case_.rows * kPanelColumns / 4, 1);
    const std::vector<float> scales = random_floats(case_.rows, 2);
    PanelProduct product;
    product.m = product.lhs_rows = case_.rows;
    product.lhs = reinterpret_cast<const int8_t*>(values.data());  // any bytes are int8
    product.lhs_scales = scales.data();
    panel_ = gemm_panel_operands(product, memory_);
    unpack_.panel = memory_.output<int8_t>("panel", extent(kPanelBytes, 64), OperandType::kBytes);
    unpack_.scales = memory_.output<float>("scales", extent(kTileRows * 4), OperandType::kF32);
    panel_.panel = unpack_.panel;
    panel_.panel_scales = unpack_.scales;
    return memory_.status();
  }

  // Made before the time is taken: it takes as long as a tile.
  const KernelTable& table_of(const KernelInfo& kernel) {
    const auto found = tables_.find(&kernel);
    if (found != tables_.end()) return found->second;
    return tables_.emplace(&kernel, make_kernel_table({kernel.features, kernel.name}))
        .first->second;
  }

  void run_panel(const KernelInfo& kernel, int64_t units) {
    const KernelTable& table = table_of(kernel);
    walk_.next(units, [&](const uint8_t* tiles, int64_t count) {
      for (int64_t t = 0; t < count; ++t) {
        for (int64_t column = 0; column < prefill_columns(); column += kPanelColumns) {
          unpack_.k = std::min(kPanelColumns, prefill_columns() - column);
          unpack_.rhs = tiles + t * walk_.tile_bytes() + packed_tile_bytes(case_.encoding, column);
          unpack_panel(table, case_.encoding, unpack_);
          panel_.first = column == 0;
          table.gemm_panel(&panel_);
        }
      }
    });
  }

  int64_t attn_bytes() const {
    return 2 * kAttnKeys * encoded_row_bytes(case_.encoding, kAttnHeadDim);
  }

  // `units` are calls.
  Status prepare_attn() {
    units_max_ = std::max<int64_t>(1, kRunBytes / attn_bytes());
    std::vector<float> floats;  // random bits would be subnormal too often
    AlignedBuffer halves;
    const uint8_t* cache = nullptr;
    if (case_.encoding == Encoding::kF32) {
      floats = random_floats(attn_bytes() / 4, 2);
      cache = reinterpret_cast<const uint8_t*>(floats.data());
    } else {
      MIDGE_ASSIGN_OR_RETURN(halves, random_weights(attn_bytes()));
      cache = halves.data();
    }
    const std::vector<float> q = random_floats(case_.rows * kAttnHeadDim, 1);
    const std::vector<SeenKeys> seen(static_cast<size_t>(case_.rows), SeenKeys{0, kAttnKeys});
    attn_ = attn_operands(
        {.encoding = case_.encoding, .head_dim = kAttnHeadDim, .keys = kAttnKeys, .scale = 0.1f},
        seen, q.data(), cache, cache + attn_bytes() / 2, memory_);
    return memory_.status();
  }

  void run_attn(const KernelInfo& kernel, int64_t units) {
    const auto attn = reinterpret_cast<AttnFunction>(kernel.function);
    for (int64_t i = 0; i < units; ++i) attn(&attn_);
  }

  CalibrationCase case_;
  TileWalk walk_;
  int64_t units_max_ = 1;
  OperandMemory memory_;
  std::map<const KernelInfo*, KernelTable> tables_;  // of prefill kernels
  GemvArgs gemv_ = {};
  UnpackArgs unpack_ = {};
  GemmPanelArgs panel_ = {};
  AttnArgs attn_ = {};
};

// Cases that the weights need and that nothing is known of.
std::vector<CalibrationCase> missing_cases(const Calibration& calibration, int core_types,
                                           std::span<const WeightTiles> weights,
                                           const CalibrateOptions& options) {
  std::vector<CalibrationCase> missing;
  for (const CalibrationCase& c : calibration_cases(options.features)) {
    if (c.op != Op::kAttn) {
      const int64_t bytes = TileWalk(weights, c.encoding).bytes();
      if (bytes == 0 || bytes < options.bytes_min) continue;
    }
    if (!is_measured(calibration, c, core_types, options.features)) missing.push_back(c);
  }
  return missing;
}

Status measure_case(const CalibrationCase& c, int core_type, std::span<const WeightTiles> weights,
                    const CalibrateOptions& options, double seconds, Calibration* calibration) {
  const std::vector<const KernelInfo*> candidates = calibration_candidates(c, options.features);
  MIDGE_ASSIGN_OR_RETURN(KernelRun run, KernelRun::create(c, TileWalk(weights, c.encoding)));
  for (const KernelInfo* candidate : candidates) run.get_ready(*candidate);
  const std::vector<MeasuredRate> rates = measure_rates(
      candidates.size(),
      [&](size_t candidate, int64_t units) {
        const double start = thread_seconds();
        run.run(*candidates[candidate], units);
        return thread_seconds() - start;
      },
      run.units_max(), seconds);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const double rate = std::clamp(rates[i].rate * static_cast<double>(run.unit_work()), 1.0, 1e18);
    const double spread = std::clamp(1000 * rates[i].spread, 0.0, 1e6);
    calibration->kernels.push_back({c, candidates[i], core_type, static_cast<int64_t>(rate),
                                    static_cast<int>(spread), std::time(nullptr)});
  }
  return Status();
}

// Measures cases on this core as long as there is time.
Status measure_cases(std::span<const CalibrationCase> cases, int core_type,
                     std::span<const WeightTiles> weights, const CalibrateOptions& options,
                     Calibration* calibration) {
  const Clock::time_point start = Clock::now();
  for (size_t i = 0; i < cases.size(); ++i) {
    const double left = options.seconds - seconds_since(start);
    if (left <= 0) break;
    MIDGE_RETURN_IF_ERROR(measure_case(cases[i], core_type, weights, options,
                                       left / static_cast<double>(cases.size() - i), calibration));
  }
  return Status();
}

// The weights in pieces, read from one on.
class ReadWalk {
 public:
  explicit ReadWalk(std::span<const WeightTiles> weights) {
    for (const WeightTiles& sample : weights) {
      for (int64_t at = 0; at + kReadPieceBytes <= TileWalk::bytes_of(sample);
           at += kReadPieceBytes) {
        pieces_.push_back(sample.data + at);
      }
    }
  }

  bool empty() const { return pieces_.empty(); }

  // Seconds in which `threads` of the team read the next kReadBytes each; infinite if the team runs
  // on fewer now, because something else keeps cores busy.
  double read(const WorkerTeam& team, int threads) {
    constexpr int64_t kPieces = kReadBytes / kReadPieceBytes;
    Clock::time_point start;
    std::atomic<double> seconds = 0;  // of the last one to finish
    std::atomic<uint64_t> total = 0;  // keeps the compiler from dropping the reads
    bool has_all = true;
    team.run([&](const Worker& worker) {
      if (worker.index() == 0) has_all = worker.count() >= threads;
      worker.barrier();  // all are awake
      worker.single([&] { start = Clock::now(); });
      if (worker.index() >= threads) return;
      uint64_t sum = 0;
      for (int64_t i = 0; i < kPieces; ++i) {
        const size_t piece = next_ + static_cast<size_t>(worker.index() * kPieces + i);
        const auto* words = reinterpret_cast<const uint64_t*>(pieces_[piece % pieces_.size()]);
        for (int64_t j = 0; j < kReadPieceBytes / 8; ++j) sum += words[j];
      }
      total += sum;
      const double mine = seconds_since(start);
      double last = seconds;
      while (last < mine && !seconds.compare_exchange_weak(last, mine)) {
      }
    });
    next_ += static_cast<size_t>(threads * kPieces);
    return has_all ? seconds.load() : std::numeric_limits<double>::infinity();
  }

 private:
  std::vector<const uint8_t*> pieces_;
  size_t next_ = 0;
};

// Cores of a type that may be used. requested: empty if any.
std::vector<int> usable(const std::vector<int>& cores, const std::vector<int>& requested) {
  std::vector<int> both;
  for (const int core : cores) {
    const bool is_wanted = std::find(requested.begin(), requested.end(), core) != requested.end();
    if (requested.empty() || is_wanted) both.push_back(core);
  }
  return both;
}

// Rates of 1, 2, 4 ... and all threads that are not known.
void measure_reads(const WorkerTeam& team, std::span<const WeightTiles> weights,
                   const Calibration& known, Calibration* calibration) {
  ReadWalk walk(weights);
  if (walk.empty()) return;
  const int all = team.thread_count();
  for (int threads = 1; threads <= all;
       threads = threads < all ? std::min(2 * threads, all) : all + 1) {
    if (known.find_read(threads) != nullptr) continue;
    const Clock::time_point start = Clock::now();
    double best = walk.read(team, threads);
    for (int i = 1; i < kReadPasses && seconds_since(start) < kReadSeconds; ++i) {
      best = std::min(best, walk.read(team, threads));
    }
    if (!std::isfinite(best)) continue;
    calibration->reads.push_back(
        {threads, static_cast<int64_t>(static_cast<double>(threads * kReadBytes) / best),
         std::time(nullptr)});
  }
}

}  // namespace

std::vector<MeasuredRate> measure_rates(size_t count, const TimedRun& run, int64_t units_max,
                                        double budget_seconds) {
  double best = std::numeric_limits<double>::infinity();
  std::vector<double> seconds(count, best);  // of one of the units
  for (int trial = 0; trial < kTrials; ++trial) {
    for (size_t i = count; i-- > 0;) {  // the highest level first
      seconds[i] = std::min(seconds[i], std::max(run(i, 1), kClockSeconds));
      best = std::min(best, seconds[i]);
    }
  }
  std::vector<size_t> kept;
  for (size_t i = 0; i < count; ++i) {
    if (seconds[i] <= kHopeless * best) kept.push_back(i);
  }
  const double runs = static_cast<double>(kept.size()) * kRounds;
  const int64_t units = static_cast<int64_t>(
      std::clamp(budget_seconds / runs / best, 1.0, static_cast<double>(units_max)));
  std::vector<std::vector<double>> taken(kept.size());
  double spent = 0;
  for (size_t round = 0; round < kRounds && (round < kRoundsMin || spent < budget_seconds);
       ++round) {
    for (size_t i = 0; i < kept.size(); ++i) {
      const size_t turn = (round + i) % kept.size();
      taken[turn].push_back(std::max(run(kept[turn], units), kClockSeconds));
      spent += taken[turn].back();
    }
  }
  std::vector<MeasuredRate> rates(count);
  for (size_t i = 0; i < count; ++i) rates[i].rate = 1 / seconds[i];
  for (size_t i = 0; i < kept.size(); ++i) {
    std::vector<double>& runs_of_one = taken[i];
    std::sort(runs_of_one.begin(), runs_of_one.end());
    const size_t runs_done = runs_of_one.size();
    const double middle = runs_of_one[runs_done / 2];
    rates[kept[i]].rate = static_cast<double>(units) / middle;
    rates[kept[i]].spread = (runs_of_one[3 * runs_done / 4] - runs_of_one[runs_done / 4]) / middle;
  }
  return rates;
}

Result<CalibrationReport> calibrate(const WorkerTeam& team, std::span<const WeightTiles> weights,
                                    const CalibrateOptions& options) {
  CalibrationReport report;
  report.cores = team.topology().types;
  const std::string key = calibration_key(report.cores);
  Calibration& known = report.calibration;
  const auto load = [&] {
    Result<Calibration> loaded = load_calibration(report.path, key);
    report.loaded = loaded.status();
    if (loaded.ok()) known.add_missing(*loaded);
  };
  if (!options.cache_dir.empty()) {
    report.path = calibration_path(options.cache_dir, key);
    load();
  }
  int64_t bytes = 0;
  for (const WeightTiles& sample : weights) bytes += TileWalk::bytes_of(sample);
  if (bytes < options.bytes_min) return report;

  const Clock::time_point start = Clock::now();
  const Calibration nothing;
  Calibration measured;
  const auto core_types = static_cast<int>(report.cores.size());
  const std::vector<CalibrationCase> cases =
      missing_cases(options.again ? nothing : known, core_types, weights, options);
  for (int i = 0; i < core_types && !cases.empty(); ++i) {
    const std::vector<int> cores =
        usable(report.cores[static_cast<size_t>(i)].cores, team.requested_cores());
    if (cores.empty()) continue;
    std::optional<PinnedThread> pinned;
    if (core_types > 1) {
      pinned.emplace(cores);
      // Cores that went offline, or that the system has taken back: rates of others would be kept
      // as theirs.
      if (!pinned->is_pinned()) continue;
    }
    MIDGE_RETURN_IF_ERROR(measure_cases(cases, i, weights, options, &measured));
  }
  // What a number of threads reads at most, which other cores than the best do not tell.
  if (team.requested_cores().empty()) {
    measure_reads(team, weights, options.again ? nothing : known, &measured);
  }
  if (measured.kernels.empty() && measured.reads.empty()) return report;
  report.seconds = seconds_since(start);
  measured.add_missing(known);
  known = std::move(measured);
  if (report.path.empty()) return report;
  const Status found = report.loaded;
  load();  // what another process has added since
  report.loaded = found;
  const Calibration kept = without_noise(known);
  report.noisy = known.kernels.size() - kept.kernels.size();
  report.saved = save_calibration(report.path, key, kept);
  return report;
}

}  // namespace midge
