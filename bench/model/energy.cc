#include "bench/model/energy.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "bench/model/model_runner.h"
#include "engine/core/seconds.h"

namespace midge::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDevicesMax = 64;
constexpr int64_t kShortTokens = 8;
constexpr double kLongSeconds = 10;
constexpr double kJoulesPerKwh = 3.6e6;

// The last number of each line, summed: of a plain file its number, of ODPM's lines
// "CH3(T=1234)[VSYS_PWR_CPU], 5678" the counters.
std::optional<double> sum_of_lines(const std::string& text) {
  std::istringstream lines(text);
  double sum = 0;
  bool any = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("t=")) continue;  // ODPM's time of reading
    const size_t comma = line.rfind(',');
    const char* const from = line.c_str() + (comma == std::string::npos ? 0 : comma + 1);
    char* end = nullptr;
    const double value = std::strtod(from, &end);
    if (end == from) return std::nullopt;
    sum += value;
    any = true;
  }
  return any ? std::optional(sum) : std::nullopt;
}

std::optional<double> number_of(const SystemFiles& files, const std::string& path) {
  const std::optional<std::string> text = files.read(path);
  return text.has_value() ? sum_of_lines(*text) : std::nullopt;
}

bool is_discharging(const SystemFiles& files, const std::string& path) {
  return files.read(path).value_or("").starts_with("Discharging");
}

}  // namespace

EnergyMeter::EnergyMeter(SystemFiles files) : files_(std::move(files)) {
  find();
  last_.assign(sources_.size(), 0);
  passed_.assign(sources_.size(), 0);
}

void EnergyMeter::find() {
  if (find_rapl() || find_odpm() || find_hwmon() || find_battery()) return;
  method_.clear();
}

bool EnergyMeter::find_rapl() {
  // Of each package. Of what lies below them, memory alone is not part of it.
  for (int i = 0; i < kDevicesMax; ++i) {
    const std::string zone = "sys/class/powercap/intel-rapl:" + std::to_string(i);
    const auto energy = number_of(files_, zone + "/energy_uj");
    if (!energy.has_value()) break;
    // "psys" is the whole system, packages included.
    if (!files_.read(zone + "/name").value_or("package").starts_with("package")) continue;
    add_rapl(zone);
    for (int k = 0; k < kDevicesMax; ++k) {
      const std::string part = zone + ":" + std::to_string(k);
      const std::optional<std::string> name = files_.read(part + "/name");
      if (!name.has_value()) break;
      if (name->starts_with("dram") && number_of(files_, part + "/energy_uj").has_value()) {
        add_rapl(part);
      }
    }
  }
  method_ = "RAPL";
  counts_ = true;
  return !sources_.empty();
}

void EnergyMeter::add_rapl(const std::string& zone) {
  sources_.push_back({zone + "/energy_uj", "", "", 1e-6,
                      number_of(files_, zone + "/max_energy_range_uj").value_or(0)});
}

bool EnergyMeter::find_odpm() {
  for (int i = 0; i < kDevicesMax; ++i) {
    const std::string path = "sys/bus/iio/devices/iio:device" + std::to_string(i) + "/energy_value";
    if (number_of(files_, path).has_value()) sources_.push_back({path, "", "", 1e-6, 0});
  }
  method_ = "ODPM";
  counts_ = true;
  return !sources_.empty();
}

bool EnergyMeter::find_hwmon() {
  for (int i = 0; i < kDevicesMax; ++i) {
    const std::string chip = "sys/class/hwmon/hwmon" + std::to_string(i);
    for (int k = 1; k < 16; ++k) {
      const std::string path = chip + "/power" + std::to_string(k) + "_input";
      if (number_of(files_, path).has_value()) sources_.push_back({path, "", "", 1e-6, 0});
    }
  }
  method_ = "hwmon";
  counts_ = false;
  return !sources_.empty();
}

bool EnergyMeter::find_battery() {
  for (const char* name : {"battery", "BAT0", "BAT1"}) {
    const std::string supply = std::string("sys/class/power_supply/") + name;
    const auto current = number_of(files_, supply + "/current_now");
    if (!current.has_value() || !number_of(files_, supply + "/voltage_now").has_value()) continue;
    // What goes into a battery says nothing of what the machine takes.
    if (!is_discharging(files_, supply + "/status")) continue;
    sources_.push_back(
        {supply + "/current_now", supply + "/voltage_now", supply + "/status", 1e-12, 0});
    break;
  }
  method_ = "battery";
  counts_ = false;
  return !sources_.empty();
}

std::optional<double> EnergyMeter::read() const {
  double sum = 0;
  for (size_t i = 0; i < sources_.size(); ++i) {
    const Source& source = sources_[i];
    auto value = number_of(files_, source.path);
    if (!value.has_value()) return std::nullopt;
    if (source.wraps_at > 0) {
      if (*value < last_[i]) passed_[i] += source.wraps_at;
      last_[i] = *value;
      *value += passed_[i];
    }
    if (!source.status_path.empty() && !is_discharging(files_, source.status_path)) {
      return std::nullopt;
    }
    if (!source.other_path.empty()) {
      const auto factor = number_of(files_, source.other_path);
      if (!factor.has_value()) return std::nullopt;
      // Which sign discharging has depends on the driver.
      *value = std::abs(*value) * *factor;
    }
    sum += *value * source.unit;
  }
  return sources_.empty() ? std::nullopt : std::optional(sum);
}

namespace {

/// What some tokens took.
struct Taken {
  int64_t tokens = 0;
  double seconds = 0;
  std::optional<double> joules;  ///< nothing: the meter could not be read
};

Result<Taken> decode_for(ModelRunner& runner, const EnergyMeter& meter, int64_t tokens,
                         double seconds) {
  Taken taken;
  const std::optional<double> before = meter.read();
  if (before.has_value()) taken.joules = 0;
  const Clock::time_point start = Clock::now();
  while (taken.tokens < tokens || taken.seconds < seconds) {
    MIDGE_RETURN_IF_ERROR(runner.at_depth(0, 1).status());
    ++taken.tokens;
    const double now = seconds_between(start, Clock::now());
    if (!meter.counts() && taken.joules.has_value()) {
      const std::optional<double> watts = meter.read();
      if (watts.has_value()) {
        *taken.joules += *watts * (now - taken.seconds);
      } else {
        taken.joules.reset();
      }
    }
    taken.seconds = now;
  }
  if (meter.counts() && before.has_value()) {
    taken.joules = meter.read();
    if (taken.joules.has_value()) *taken.joules -= *before;
  }
  return taken;
}

}  // namespace

Result<CostReport> measure_cost(const std::string& name, const LoadedModel& model, KvType kv_type,
                                const CostOptions& options, const SystemFiles& files,
                                const std::atomic<bool>* cancel) {
  RunnerOptions runner_options;
  runner_options.kv_type = kv_type;
  runner_options.requests_max = 0;
  runner_options.cancel = cancel;
  MIDGE_ASSIGN_OR_RETURN(const std::unique_ptr<ModelRunner> runner,
                         ModelRunner::create(model, runner_options));
  const EnergyMeter meter(files);
  // The first tokens read files and find their cores.
  MIDGE_RETURN_IF_ERROR(decode_for(*runner, meter, kShortTokens, 0).status());
  MIDGE_ASSIGN_OR_RETURN(const Taken brief, decode_for(*runner, meter, kShortTokens, 0));
  MIDGE_ASSIGN_OR_RETURN(const Taken taken, decode_for(*runner, meter, 2 * kShortTokens,
                                                       std::max(kLongSeconds, 2 * brief.seconds)));
  const auto tokens = static_cast<double>(taken.tokens - brief.tokens);
  CostReport report;
  report.name = name;
  report.list_prices = options.list_prices;
  report.tokens_per_second = tokens / (taken.seconds - brief.seconds);
  const bool is_metered = taken.joules.has_value() && brief.joules.has_value();
  if (is_metered && *taken.joules > *brief.joules) {
    report.method = meter.method();
    report.joules_per_token = (*taken.joules - *brief.joules) / tokens;
  } else if (options.watts.has_value()) {
    report.method = "given";
    report.joules_per_token = *options.watts / report.tokens_per_second;
  } else {
    report.method = "not measured";
    return report;
  }
  report.watts = report.joules_per_token * report.tokens_per_second;
  if (options.price_per_kwh.has_value()) {
    report.price_per_million =
        report.joules_per_token * 1e6 / kJoulesPerKwh * *options.price_per_kwh;
  }
  return report;
}

}  // namespace midge::bench
