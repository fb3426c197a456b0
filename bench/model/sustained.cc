#include "bench/model/sustained.h"

#include <algorithm>

#include "bench/limits/read_pass.h"
#include "bench/model/machine_state.h"
#include "bench/model/model_runner.h"
#include "engine/core/seconds.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kStretchSeconds = 5;
constexpr double kMinute = 60;
constexpr double kClockDriftMax = 0.05;

// Mean rate of the stretches that lie at least partly within from..to seconds.
double mean_rate(const std::vector<Stretch>& stretches, double from, double to) {
  double sum = 0;
  double count = 0;
  for (const Stretch& stretch : stretches) {
    if (stretch.end <= from || stretch.start >= to) continue;
    sum += stretch.tokens_per_second;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

void summarize(double clock, SustainedReport* report) {
  const double end = report->stretches.back().end;
  const double minute = std::min(kMinute, end / 3);
  report->first_minute = mean_rate(report->stretches, 0, minute);
  report->last_minute = mean_rate(report->stretches, end - minute, end);
  double low = clock;
  double high = clock;
  for (const Stretch& stretch : report->stretches) {
    low = std::min(low, stretch.clock);
    high = std::max(high, stretch.clock);
  }
  report->clock_drift = high > 0 ? 1 - low / high : 0;
  if (report->clock_drift <= kClockDriftMax) report->mean = mean_rate(report->stretches, 0, end);
}

Result<SustainedReport> measure_sustained(const std::string& name, const LoadedModel& model,
                                          KvType kv_type, double minutes,
                                          const std::function<void(double part)>& on_progress,
                                          const std::atomic<bool>* cancel) {
  RunnerOptions options;
  options.kv_type = kv_type;
  options.requests_max = 0;
  options.cancel = cancel;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelRunner> runner,
                         ModelRunner::create(model, options));
  const SystemFiles files = SystemFiles::of_system();
  const double all = minutes * kMinute;
  const double length = std::min(kStretchSeconds, all / 3);
  SustainedReport report;
  report.name = name;
  const double clock = machine_state(files).clock;
  const Clock::time_point start = Clock::now();
  for (double now = 0; now < all;) {
    Stretch stretch;
    stretch.start = now;
    double tokens = 0;
    while (now - stretch.start < length) {
      MIDGE_RETURN_IF_ERROR(runner->at_depth(0, 1).status());
      ++tokens;
      now = seconds_between(start, Clock::now());
    }
    stretch.end = now;
    stretch.tokens_per_second = tokens / (now - stretch.start);
    const MachineState state = machine_state(files);
    stretch.clock = state.clock;
    stretch.temperature = state.temperature.value_or(0);
    report.stretches.push_back(stretch);
    if (on_progress != nullptr) on_progress(now / all);
    now = seconds_between(start, Clock::now());
  }
  summarize(clock, &report);
  return report;
}

}  // namespace midge::bench
