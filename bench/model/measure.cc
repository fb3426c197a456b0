#include "bench/model/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "bench/limits/read_pass.h"
#include "bench/model/machine_load.h"
#include "bench/model/model_runner.h"
#include "bench/model/op_summary.h"
#include "bench/model/statistics.h"
#include "engine/core/seconds.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

// A round is disturbed if other programs took more cores, or what the limits are drifted by more.
constexpr double kOthersMax = 0.1;
constexpr double kBandwidthDriftMax = 0.15;
constexpr double kClockDriftMax = 0.05;

// Samples of a figure in a round: as many as fit, but some and not too many.
constexpr double kSampleSeconds = 0.2;
constexpr int kSamplesMin = 3;
// Behind a sample that takes longer than this the limits are measured: memory and cores of a
// machine that others use change from moment to moment. In shorter ones, what follows other work is
// slower.
constexpr double kLimitsBetweenSeconds = 0.02;
constexpr int kSamplesMax = 64;
constexpr int64_t kOpens = 3;
constexpr int64_t kBlocksMax = 10;

/// A figure, and what makes a sample of it.
struct Measurement {
  Figure figure;
  PassClass pass_class = PassClass::kPanel;
  std::function<Result<double>(ModelRunner&)> sample;
  int samples_min = kSamplesMin;
};

std::vector<int64_t> within(const std::vector<int64_t>& wanted, int64_t most, const char* what,
                            std::vector<std::string>* notes) {
  std::vector<int64_t> kept;
  std::string left_out;
  for (const int64_t value : wanted) {
    if (value <= most) {
      kept.push_back(value);
    } else {
      left_out += (left_out.empty() ? "" : ", ") + std::to_string(value);
    }
  }
  if (!left_out.empty()) {
    notes->push_back(
        format_string("%s left out: %s, the context is too short", what, left_out.c_str()));
  }
  return kept;
}

/// The measuring of one subject, over all of its blocks.
class SubjectBench {
 public:
  SubjectBench(const Subject& subject, const BenchOptions& options)
      : subject_(subject), options_(options) {
    // Room for the steps behind.
    const int64_t longest = subject.context_length - 256;
    report_.name = subject.name;
    report_.path = subject.path;
    prompts_ = within(options.prompts, longest, "prompts", &report_.notes);
    depths_ = within(options.depths, longest, "depths", &report_.notes);
  }

  /// Opens the model, measures `rounds` and closes it. base, width: of the progress.
  Status run_block(int64_t rounds, double base, double width) {
    base_ = base;
    width_ = width;
    if (options_.opens && !subject_.path.empty()) MIDGE_RETURN_IF_ERROR(measure_opens(rounds));
    tell("opening", 0);
    forget_peak_memory();
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, subject_.open());
    tell("checking the output", 0);
    if (!options_.wrong_kernel) return measure(*model, rounds);
    return with_wrong_kernel(*model, [&] { return measure(*model, rounds); });
  }

  SubjectReport take_report() {
    for (Figure& open : opens_) {
      if (!open.rounds.empty()) report_.figures.push_back(std::move(open));
    }
    for (Measurement& measurement : measurements_) {
      report_.figures.push_back(std::move(measurement.figure));
    }
    return std::move(report_);
  }

 private:
  void tell(const std::string& what, double part) const {
    if (options_.on_progress == nullptr) return;
    options_.on_progress(subject_.name + ": " + what, base_ + width_ * part);
  }
  bool is_cancelled() const {
    return options_.cancel != nullptr && options_.cancel->load(std::memory_order_relaxed);
  }

  // Until the first token behind a prompt of one.
  Result<double> open_once() {
    const Clock::time_point start = Clock::now();
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<LoadedModel> model, subject_.open());
    opened_path_ = model->path();
    RunnerOptions options;
    options.kv_type = subject_.kv_type;
    options.depth_max = -1;
    options.requests_max = 0;
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelRunner> runner,
                           ModelRunner::create(*model, options));
    MIDGE_RETURN_IF_ERROR(runner->prompt(1).status());
    return seconds_between(start, Clock::now());
  }

  Status measure_opens(int64_t rounds) {
    if (opens_[0].label.empty()) {
      opens_[0].section = opens_[1].section = "open";
      opens_[0].label = "cold, to the first token";
      opens_[1].label = "warm, to the first token";
      opens_[1].at = 1;
    }
    for (int64_t i = 0; i < std::min(rounds, kOpens); ++i) {
      tell("opening", 0);
      // Warm first: it tells which file is opened, that of a cache maybe.
      for (size_t warm = 2; warm-- > 0;) {
        if (is_cancelled()) return make_status(StatusCode::kCancelled, "cancelled");
        if (warm == 0 && !drop_opened_file()) continue;
        MIDGE_ASSIGN_OR_RETURN(const double seconds, open_once());
        opens_[warm].rounds.push_back({.seconds = seconds, .samples = {seconds}});
      }
    }
    return Status();
  }

  bool drop_opened_file() {
    if (can_drop_ && !drop_from_memory(opened_path_)) {
      can_drop_ = false;
      report_.notes.push_back("cold open left out: the system keeps the file in memory");
    }
    return can_drop_;
  }

  Status measure(const LoadedModel& model, int64_t rounds) {
    MIDGE_ASSIGN_OR_RETURN(report_.gate, check_output(model, subject_.kv_type));
    RunnerOptions options;
    options.kv_type = subject_.kv_type;
    options.depth_max = depths_.empty() ? 1 : *std::max_element(depths_.begin(), depths_.end());
    options.depth_count = static_cast<int64_t>(depths_.size()) + 1;  // and none, of rows
    options.prompt_max = prompts_.empty() ? 1 : *std::max_element(prompts_.begin(), prompts_.end());
    options.requests_max = options_.requests.empty() ? 0
                                                     : *std::max_element(options_.requests.begin(),
                                                                         options_.requests.end());
    options.cancel = options_.cancel;
    tell("filling the cache", 0);
    MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelRunner> runner,
                           ModelRunner::create(model, options));
    if (measurements_.empty()) describe(*runner, model);
    ReadPass read(model.executor());
    const SystemFiles files = SystemFiles::of_system();
    if (report_.rounds.empty()) report_.before = machine_state(files);
    MIDGE_RETURN_IF_ERROR(warm_up(*runner));
    for (int64_t i = 0; i < rounds; ++i) {
      const double part = static_cast<double>(i) / static_cast<double>(rounds);
      MIDGE_RETURN_IF_ERROR(run_round(*runner, read, part, 1.0 / static_cast<double>(rounds)));
    }
    report_.after = machine_state(files);
    report_.memory = process_memory(files);
    return Status();
  }

  // Pages and caches settle, the watch of the cores learns, and the number of samples is found.
  Status warm_up(ModelRunner& runner) {
    for (Measurement& m : measurements_) {
      tell("warming up", 0);
      MIDGE_RETURN_IF_ERROR(m.sample(runner).status());
    }
    return Status();
  }

  void add(Figure figure, PassClass c, std::function<Result<double>(ModelRunner&)> sample,
           int samples_min) {
    measurements_.push_back({std::move(figure), c, std::move(sample), samples_min});
  }

  void describe(const ModelRunner& runner, const LoadedModel& loaded) {
    const Model& model = loaded.model();
    const Executor& executor = loaded.executor();
    report_.family = model.config().family;
    report_.parameters = model.parameter_count();
    report_.token_bytes = model.token_bytes();
    report_.model_bytes = static_cast<int64_t>(model.storage().file_bytes());
    report_.threads = executor.thread_count();
    report_.level = isa_level_name(top_level(executor.isa()));
    report_.kernels = used_kernels(executor);
    report_.kv_type = kv_type_name(subject_.kv_type);
    const auto weights = static_cast<double>(ReadPass(executor).bytes());
    // Of a step that reads so many bytes of keys and values as well.
    const auto bytes_with = [&](int64_t kv) {
      return weights > 0 ? weights + static_cast<double>(kv) : 0;
    };
    if (weights == 0) {
      report_.notes.emplace_back(
          "bytes left out: XNNPACK multiplies with copies of the weights that nobody else can "
          "read");
    }
    const double token_macs = runner.prompt_macs(1);
    for (const int64_t length : prompts_) {
      Figure f = {.section = "prompt",
                  .label = format_string("%lld tokens", static_cast<long long>(length)),
                  .at = length,
                  .tokens = static_cast<double>(length),
                  .bytes = weights,
                  .macs = runner.prompt_macs(length),
                  .rounds = {}};
      add(
          std::move(f), PassClass::kPanel, [length](ModelRunner& r) { return r.prompt(length); },
          1);
    }
    for (const int64_t depth : depths_) {
      Figure f = {.section = "decode",
                  .label = format_string("%lld deep", static_cast<long long>(depth)),
                  .at = depth,
                  .tokens = 1,
                  .bytes = bytes_with(runner.kv_bytes(depth)),
                  .macs = token_macs,
                  .rounds = {}};
      add(
          std::move(f), pass_class(1, 0), [depth](ModelRunner& r) { return r.at_depth(depth, 1); },
          kSamplesMin);
    }
    for (const int64_t rows : options_.rows) {
      Figure f = {
          .section = "rows",
          .label = rows == 1 ? "1 row" : format_string("%lld rows", static_cast<long long>(rows)),
          .at = rows,
          .tokens = static_cast<double>(rows),
          .bytes = bytes_with(runner.kv_bytes(rows)),
          .macs = static_cast<double>(rows) * token_macs,
          .rounds = {}};
      add(
          std::move(f), pass_class(rows, 0), [rows](ModelRunner& r) { return r.at_depth(0, rows); },
          kSamplesMin);
    }
    for (const int64_t count : options_.requests) {
      Figure f = {.section = "requests",
                  .label = format_string("%lld at a time", static_cast<long long>(count)),
                  .at = count,
                  .tokens = static_cast<double>(count),
                  .bytes = bytes_with(runner.request_kv_bytes(count)),
                  .macs = static_cast<double>(count) * token_macs,
                  .rounds = {}};
      add(
          std::move(f), pass_class(count, 0), [count](ModelRunner& r) { return r.requests(count); },
          kSamplesMin);
    }
  }

  // What the machine does between two samples. Neighbours of a shared core, and its clock, change
  // within tenths of a second, so the peak is taken right before and right behind a sample.
  struct Limits {
    PassClass pass_class = PassClass::kPanel;  // whose cores the peak is of
    double peak_first = 0;
    double bandwidth = 0;
    double peak_last = 0;
  };

  // Of a figure in a round.
  struct Samples {
    std::vector<double> seconds;
    std::vector<double> bandwidths;  // of each: the mean of the passes before and behind it
    std::vector<double> peaks;       // of each, likewise
    Limits first;
    Limits last;

    bool has_limits_of_all() const { return bandwidths.size() == seconds.size(); }
    // Follow all samples that have none yet.
    void add_limits(const Limits& limits) {
      bandwidths.resize(seconds.size(), (last.bandwidth + limits.bandwidth) / 2);
      peaks.resize(seconds.size(), (last.peak_last + limits.peak_first) / 2);
      last = limits;
    }
  };

  Status run_round(ModelRunner& runner, ReadPass& read, double part, double width) {
    const SystemFiles files = SystemFiles::of_system();
    const MachineState before = machine_state(files);
    const MachineLoad load;
    const Executor& executor = runner.executor();
    RoundState state;
    std::vector<double> peaks;  // of prompts
    const auto measure_limits = [&](PassClass c) {
      const auto peak = [&] { return measure_integer_peak(executor.team(), executor.isa(), c); };
      Limits limits;
      limits.pass_class = c;
      limits.peak_first = peak();
      limits.bandwidth = read.measure(c);
      limits.peak_last = peak();
      if (c == PassClass::kPanel) peaks.insert(peaks.end(), {limits.peak_first, limits.peak_last});
      state.bandwidth_low = std::min(state.bandwidth_low, limits.bandwidth);
      state.bandwidth_high = std::max(state.bandwidth_high, limits.bandwidth);
      return limits;
    };
    state.bandwidth_low = std::numeric_limits<double>::max();
    Limits limits = measure_limits(PassClass::kPanel);
    for (size_t i = 0; i < measurements_.size(); ++i) {
      Measurement& m = measurements_[i];
      tell(m.figure.section + " " + m.figure.label,
           part + width * static_cast<double>(i) / static_cast<double>(measurements_.size()));
      if (limits.pass_class != m.pass_class) limits = measure_limits(m.pass_class);
      MIDGE_ASSIGN_OR_RETURN(const Samples samples, take_samples(runner, m, limits, [&] {
                               return measure_limits(m.pass_class);
                             }));
      m.figure.rounds.push_back(round_of(m.figure, samples));
      limits = samples.last;
    }
    const MachineState after = machine_state(files);
    state.clock = after.clock;
    state.integer_peak = median(peaks);
    state.others = load.others();
    state.disturbance = disturbance_of(state, before, after);
    if (!state.disturbance.empty()) {
      for (Measurement& m : measurements_) m.figure.rounds.back().disturbed = true;
    }
    report_.rounds.push_back(state);
    return Status();
  }

  // The median part of their limits that samples reached which moved or multiplied so much.
  static double fraction(double amount, const std::vector<double>& seconds,
                         const std::vector<double>& limits) {
    std::vector<double> fractions;
    for (size_t i = 0; i < seconds.size(); ++i) {
      if (limits[i] > 0) fractions.push_back(amount / seconds[i] / limits[i]);
    }
    return fractions.empty() ? 0 : median(fractions);
  }

  static Round round_of(const Figure& figure, const Samples& samples) {
    Round round;
    round.seconds = median(samples.seconds);
    round.samples = samples.seconds;
    round.bandwidth = median(samples.bandwidths);
    round.read_fraction = fraction(figure.bytes, samples.seconds, samples.bandwidths);
    round.peak_fraction = fraction(figure.macs, samples.seconds, samples.peaks);
    const double first = samples.first.bandwidth;
    const double last = samples.last.bandwidth;
    round.disturbed = std::abs(last - first) > kBandwidthDriftMax * std::max(last, first);
    return round;
  }

  static std::string disturbance_of(const RoundState& state, const MachineState& before,
                                    const MachineState& after) {
    if (state.others > kOthersMax) {
      return format_string("other programs took %.1f cores", state.others);
    }
    if (std::abs(after.clock - before.clock) > kClockDriftMax * before.clock) {
      return format_string("the clock went from %.2f to %.2f GHz", before.clock * 1e-9,
                           after.clock * 1e-9);
    }
    if (after.throttlings > before.throttlings) return "cores were slowed down for their heat";
    return std::string();
  }

  // limits: those measured last; measure_limits measures them anew.
  static Result<Samples> take_samples(ModelRunner& runner, const Measurement& m,
                                      const Limits& limits,
                                      const std::function<Limits()>& measure_limits) {
    Samples samples;
    samples.first = samples.last = limits;
    // What follows other work is slower: it does not count, unless it is all there is.
    if (m.samples_min > 1) {
      MIDGE_ASSIGN_OR_RETURN(const double seconds, m.sample(runner));
      if (seconds > kLimitsBetweenSeconds) samples.first = samples.last = measure_limits();
    }
    double total = 0;
    for (int i = 0; i < m.samples_min || (total < kSampleSeconds && i < kSamplesMax); ++i) {
      MIDGE_ASSIGN_OR_RETURN(const double seconds, m.sample(runner));
      samples.seconds.push_back(seconds);
      total += seconds;
      if (seconds > kLimitsBetweenSeconds) samples.add_limits(measure_limits());
    }
    if (!samples.has_limits_of_all()) samples.add_limits(measure_limits());
    return samples;
  }

  const Subject& subject_;
  const BenchOptions& options_;
  std::vector<int64_t> prompts_;
  std::vector<int64_t> depths_;
  Figure opens_[2];  // cold, warm
  std::string opened_path_;
  bool can_drop_ = true;
  double base_ = 0;
  double width_ = 1;
  std::vector<Measurement> measurements_;
  SubjectReport report_;
};

}  // namespace

bool Figure::is_disturbed() const {
  const auto disturbed = std::count_if(rounds.begin(), rounds.end(),
                                       [](const Round& round) { return round.disturbed; });
  return 2 * static_cast<size_t>(disturbed) > rounds.size();
}

std::vector<double> Figure::of_rounds(double Round::* member) const {
  const bool all = is_disturbed();
  std::vector<double> values;
  for (const Round& round : rounds) {
    if (all || !round.disturbed) values.push_back(round.*member);
  }
  return values;
}

std::vector<double> Figure::samples() const {
  const bool all = is_disturbed();
  std::vector<double> values;
  for (const Round& round : rounds) {
    if (!all && round.disturbed) continue;
    values.insert(values.end(), round.samples.begin(), round.samples.end());
  }
  return values;
}

const Figure* SubjectReport::find(const std::string& section, int64_t at) const {
  for (const Figure& figure : figures) {
    if (figure.section == section && figure.at == at) return &figure;
  }
  return nullptr;
}

std::string used_kernels(const Executor& executor) {
  std::vector<std::string> names;
  const auto add = [&](auto function) {
    const std::string name = kernel_name(reinterpret_cast<void (*)()>(function));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  visit_linear_matrices(*executor.engine().weights,
                        [&](const std::string&, const PreparedMatrix& matrix) {
                          if (matrix.form != PreparedMatrix::Form::kTiles) return;
                          const auto encoding = static_cast<size_t>(matrix.tiles.encoding);
                          add(executor.kernels().gemv[encoding][1]);
                        });
  if (names.empty()) return "none: float arithmetic";
  add(executor.kernels().gemm_panel);
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

int64_t context_of(const BenchOptions& options, int64_t context_length) {
  RunnerOptions runner;
  for (const int64_t depth : options.depths) runner.depth_max = std::max(runner.depth_max, depth);
  for (const int64_t length : options.prompts) {
    runner.prompt_max = std::max(runner.prompt_max, length);
  }
  return std::min(ModelRunner::context_for(runner), context_length);
}

Result<std::vector<SubjectReport>> run_bench(const std::vector<Subject>& subjects,
                                             const BenchOptions& options) {
  std::vector<std::unique_ptr<SubjectBench>> benches;
  for (const Subject& subject : subjects) {
    benches.push_back(std::make_unique<SubjectBench>(subject, options));
  }
  // One subject stays open; several take turns, each a few rounds at a time.
  const int64_t blocks = subjects.size() == 1 ? 1 : std::min(options.rounds, kBlocksMax);
  const double width = 1.0 / static_cast<double>(blocks * static_cast<int64_t>(subjects.size()));
  double base = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t rounds = options.rounds * (block + 1) / blocks - options.rounds * block / blocks;
    for (const std::unique_ptr<SubjectBench>& bench : benches) {
      MIDGE_RETURN_IF_ERROR(bench->run_block(rounds, base, width));
      base += width;
    }
  }
  std::vector<SubjectReport> reports;
  for (const std::unique_ptr<SubjectBench>& bench : benches) {
    reports.push_back(bench->take_report());
  }
  return reports;
}

}  // namespace midge::bench
